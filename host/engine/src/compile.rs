//! Wasmtime's set-up: what a policy's code may be made of and where it lives.
//!
//! Both engines take the same features, so that what loads also runs. Measured
//! reasons are in the design's engine notes.

#![allow(unsafe_code, reason = "naming CPU features is unsafe in wasmtime: see `for_baseline`")]

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::engine::{Cpu, MAX_MEMORY};

/// Core instances of one component: wit-component makes three of a policy
/// (itself, a shim and its fix-up), a component linked from several more.
const CORE_INSTANCES: u32 = 8;
/// Memories of one component.
const MEMORIES: u32 = 2;
/// Tables of one component.
const TABLES: u32 = 8;
/// Entries of one table.
const TABLE_ENTRIES: usize = 20_000;
/// What one component and one core instance may take for the host's own
/// bookkeeping: a module with 10,000 functions takes about a quarter.
const INSTANCE_BYTES: usize = 1024 * 1024;
/// Memory that stays mapped in a slot between two instances, and is put back
/// by copying rather than by the kernel: 9 µs an instance against 32.
const KEEP_RESIDENT: usize = 2 * 1024 * 1024;
/// Stack of a guest call, of which the guest's own part is [`WASM_STACK`].
const STACK: usize = 1024 * 1024;
/// Stack that compiled code may use before it traps.
const WASM_STACK: usize = 512 * 1024;

/// The engine that runs reviews: a pool of `instances` slots.
pub(crate) fn run_engine(instances: u32, cpu: Cpu) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES)
        .total_memories(instances * MEMORIES)
        .total_tables(instances * TABLES)
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_memories_per_module(1)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ENTRIES)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memory_size(MAX_MEMORY)
        .max_unused_warm_slots(instances * MEMORIES)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    let mut config = shared_config();
    if cpu == Cpu::Baseline {
        for_baseline(&mut config)?;
    }
    config.cranelift_opt_level(OptLevel::Speed).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// The engine that loads: its code runs a few times and is thrown away.
pub(crate) fn load_engine() -> wasmtime::Result<Engine> {
    let mut config = shared_config();
    config.cranelift_opt_level(OptLevel::None).allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// What Cranelift may use of x86-64-v3, which every server's CPU has had since
/// 2015 (Intel Haswell, AMD Excavator and Zen;
/// <https://gitlab.com/x86-psABIs/x86-64-ABI>). Code without them took 8 to 11 %
/// longer for a review of 3 KB; see `docs/performance.md`.
#[cfg(target_arch = "x86_64")]
const BASELINE: &[&str] = &[
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_bmi1",
    "has_bmi2",
    "has_lzcnt",
];
/// Of other architectures what all of them have.
#[cfg(not(target_arch = "x86_64"))]
const BASELINE: &[&str] = &[];

/// Compiles for [`BASELINE`], not for what this CPU has.
fn for_baseline(config: &mut Config) -> wasmtime::Result<()> {
    // Naming a target, be it the host's, keeps wasmtime from asking the CPU.
    config.target(&target_lexicon::Triple::host().to_string())?;
    for feature in BASELINE {
        // SAFETY: code with a feature that the CPU lacks must not run. Wasmtime
        // asks the CPU for each feature that compiled code was made with before it
        // is run or mapped (`check_compatible_with_isa_flag`), here and wherever
        // the code is taken to.
        unsafe { config.cranelift_flag_enable(feature) };
    }
    Ok(())
}

fn shared_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(STACK)
        .wasm_component_model(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_extended_const(false);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_a_policy_has_no_business_with_are_off() {
        let check = |name: &str, text: &str| {
            for engine in [
                run_engine(1, Cpu::Here).expect("a pool of one"),
                run_engine(1, Cpu::Baseline).expect("as well"),
                load_engine().expect("an engine"),
            ] {
                let module = wat::parse_str(format!("(module {text})")).expect("it is text of a module");
                assert!(wasmtime::Module::new(&engine, &module).is_err(), "{name}");
            }
        };
        check("memory64", "(memory i64 1)");
        check("multi-memory", "(memory 1) (memory 1)");
        check("threads", "(memory 1 1 shared)");
        check("tail calls", "(func $f return_call $f)");
        check("custom page sizes", "(memory 1 (pagesize 1))");
        check("gc", "(type (struct))");
        check("exceptions", "(tag)");
        check("relaxed simd", "(func (param v128) (result v128) local.get 0 local.get 0 i8x16.relaxed_swizzle)");
        check("wide arithmetic", "(func (result i64 i64) i64.const 1 i64.const 1 i64.mul_wide_u)");
    }
}
