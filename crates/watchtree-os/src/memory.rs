//! How much memory a daemon holds that does little on several threads, and now and then something large.
//!
//! Contract: changes no behaviour, only how much is kept: of the heap with glibc, and of the mapped program on any Linux. Knows no
//! daemon.

#![expect(
    unsafe_code,
    reason = "mallopt and madvise are C, and change nothing that Rust code can see"
)]

use std::ffi::{c_int, c_void};
use std::time::Duration;

/// The start's code is no longer needed then.
const FIRST_AFTER: Duration = Duration::from_secs(20);
/// What something rare needed is given back as often.
const EVERY: Duration = Duration::from_secs(60);

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

/// Gives the mapped pages of the program back at times, for ever: those that are needed come again from the kernel's cache, at
/// about a microsecond for 64 KiB, and those that only the start or something rare needed do not.
/// Ends where the kernel does not say what is mapped.
pub async fn give_back_at_times() {
    tokio::time::sleep(FIRST_AFTER).await;
    while give_back_program().is_ok() {
        tokio::time::sleep(EVERY).await;
    }
}

/// Gives back what is mapped of this program's file and cannot be written; the number of bytes.
///
/// # Errors
/// The kernel does not say what is mapped.
pub fn give_back_program() -> std::io::Result<usize> {
    const MADV_DONTNEED: c_int = 4;
    unsafe extern "C" {
        fn madvise(start: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    let program = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut bytes = 0;
    for (start, length) in unwritten(&maps, &program.to_string_lossy()) {
        // SAFETY: a private mapping of a file that was never writable: its pages are those of the file, and come from there again
        // when they are touched.
        if unsafe { madvise(std::ptr::without_provenance_mut(start), length, MADV_DONTNEED) } == 0 {
            bytes += length;
        }
    }
    Ok(bytes)
}

/// Start and length of the mappings of that file that never were writable: its code, and what lies before it. What is read-only
/// elsewhere was written at the start by the dynamic linker, and must stay.
fn unwritten(maps: &str, program: &str) -> Vec<(usize, usize)> {
    let mapping = |line: &str| {
        let mut words = line.split_whitespace();
        let (range, rights, offset) = (words.next()?, words.next()?, words.next()?);
        let is_unwritten = rights == "r-xp" || (rights == "r--p" && usize::from_str_radix(offset, 16) == Ok(0));
        let (_device, _inode, file) = (words.next()?, words.next()?, words.next()?);
        let (start, end) = range.split_once('-')?;
        let address = |hex| usize::from_str_radix(hex, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        (is_unwritten && file == program).then(|| (start, end.saturating_sub(start)))
    };
    maps.lines().filter_map(mapping).collect()
}

#[cfg(test)]
mod tests {
    //! Which mappings, and that the program goes on.
    use super::*;

    #[test]
    fn only_what_was_never_written_of_the_program_is_given_back() {
        let maps = "\
1000-3000 r--p 00000000 fe:00 77 /bin/it
3000-9000 r-xp 00002000 fe:00 77 /bin/it
9000-a000 r--p 00008000 fe:00 77 /bin/it
a000-b000 rw-p 00009000 fe:00 77 /bin/it
b000-c000 rw-p 00000000 00:00 0 [heap]
d000-e000 r-xp 00000000 fe:00 78 /lib/other.so
f000-f800 r-xp 00000000 00:00 0 [vdso]
";
        assert_eq!(unwritten(maps, "/bin/it"), [(0x1000, 0x2000), (0x3000, 0x6000)]);
    }

    #[test]
    fn the_program_goes_on_without_the_pages_that_it_gave_back() {
        keep_little();
        let text: String = (0..1000).map(|number| format!("{number} ")).collect();
        assert!(0 < give_back_program().expect("it is told what is mapped"));
        assert_eq!(
            text.split(' ').filter_map(|word| word.parse::<u32>().ok()).sum::<u32>(),
            499_500
        );
    }
}
