//! Memory that compiling took.
//!
//! Compiling the largest built-in module takes about 200 MB for a few seconds. The
//! C library keeps what is freed, in a pool of each thread, and a process that
//! compiles again and again grows by what lies between: to the kernel, and to a
//! limit on the container, all of it is in use.

#![allow(unsafe_code, reason = "the C library is told by a call of its own: see `give_back`")]

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
