//! Wasmtime's set-up: what a policy's code may be made of and where it lives.
//!
//! Both engines take the same features, so that what loads also runs. Measured
//! reasons are in the design's engine notes.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::engine::MAX_MEMORY;

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
pub(crate) fn run_engine(instances: u32) -> wasmtime::Result<Engine> {
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
    let mut config = shared_config()?;
    config.cranelift_opt_level(OptLevel::Speed).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// The engine that loads: its code runs a few times and is thrown away.
pub(crate) fn load_engine() -> wasmtime::Result<Engine> {
    let mut config = shared_config()?;
    config.cranelift_opt_level(OptLevel::None).allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// For every CPU of this architecture, not for this one's extensions: what was
/// compiled when an image was built runs on every node. `docs/performance.md`
/// has what that costs.
fn portable() -> wasmtime::Result<Config> {
    let mut config = Config::new();
    // Naming a target, be it the host's, keeps wasmtime from asking the CPU.
    config.target(&target_lexicon::Triple::host().to_string())?;
    Ok(config)
}

fn shared_config() -> wasmtime::Result<Config> {
    let mut config = portable()?;
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
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_a_policy_has_no_business_with_are_off() {
        let check = |name: &str, text: &str| {
            for engine in [run_engine(1).expect("a pool of one"), load_engine().expect("an engine")] {
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
