//! How much memory a daemon holds that does little on several threads, and now and then something large.
//!
//! Contract: changes no behaviour, only how much of the heap glibc keeps; the program itself stays where it is, for a watchdog has to
//! run where a disk does not. Knows no daemon.

#![expect(unsafe_code, reason = "mallopt is C, and changes nothing that Rust code can see")]

use std::ffi::c_int;

/// One arena for all threads, and what is large goes back to the kernel when it is freed. With an arena for each thread what one
/// of them once needed stays with it: 1.4 MiB in a daemon of eight threads. To be called once, before threads are made.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    {
        /// From this size on an allocation is a mapping of its own, which ends with it.
        const MAPPED_FROM_BYTES: c_int = 64 * 1024;
        /// So much that is free at the end of the heap is given back.
        const TRIMMED_FROM_BYTES: c_int = 64 * 1024;
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;
        const M_ARENA_MAX: c_int = -8;
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        for (parameter, value) in [
            (M_ARENA_MAX, 1),
            (M_MMAP_THRESHOLD, MAPPED_FROM_BYTES),
            (M_TRIM_THRESHOLD, TRIMMED_FROM_BYTES),
        ] {
            // SAFETY: glibc's own function with its own numbers; it takes a lock of its own and keeps no pointer. What it refuses
            // stays as it was.
            let _ = unsafe { mallopt(parameter, value) };
        }
    }
}
