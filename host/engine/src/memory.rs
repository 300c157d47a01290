//! Memory that compiling took.
//!
//! Compiling the largest built-in module takes about 200 MB for a few seconds. The
//! C library keeps what is freed, in a pool of each thread, and a process that
//! compiles again and again grows by what lies between: to the kernel, and to a
//! limit on the container, all of it is in use.

#![allow(unsafe_code, reason = "the C library is told by calls of its own")]

/// Buffers from this size on (bytes) are the kernel's, and go back to it when they
/// are freed. By itself glibc raises it to 32 MiB after the first of them, and puts
/// the next, each grown to twice the last, between what stays. A review has no such
/// buffer unless its object is as large.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OF_THE_KERNEL: libc::c_int = 1024 * 1024;

/// Has the C library keep little of what is freed: a pool for each processor, not
/// eight, and none of large buffers. To be called before the first thread is
/// started. Does nothing where the C library isn't glibc.
pub fn keep_little_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let pools = libc::c_int::try_from(processors.max(2)).unwrap_or(libc::c_int::MAX);
        // SAFETY: the function takes two numbers, and no other thread is there yet
        // (https://man7.org/linux/man-pages/man3/mallopt.3.html).
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, pools);
            libc::mallopt(libc::M_MMAP_THRESHOLD, OF_THE_KERNEL);
        }
    }
}

/// Gives memory that nothing uses back to the kernel: to be called after policies
/// were loaded, beside no answer, since it takes some milliseconds. Does nothing
/// where the C library isn't glibc.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes no pointer, and glibc documents it as safe to call from any thread
    // (https://man7.org/linux/man-pages/man3/malloc_trim.3.html).
    unsafe {
        libc::malloc_trim(0);
    }
}
