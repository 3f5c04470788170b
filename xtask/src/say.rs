//! Lines for people that may have gone: a closed terminal or pipe must not end us in the middle of cleaning up, as
//! `println!` would by its panic.

use std::fmt::Arguments;
use std::io::Write;

/// As `println!`, whoever reads.
macro_rules! outln {
    ($($words:tt)*) => { $crate::say::out(format_args!($($words)*)) };
}

/// As `eprintln!`, whoever reads.
macro_rules! errln {
    ($($words:tt)*) => { $crate::say::err(format_args!($($words)*)) };
}

pub(crate) fn out(words: Arguments<'_>) {
    let _nobody_reads = writeln!(std::io::stdout(), "{words}");
}

pub(crate) fn err(words: Arguments<'_>) {
    let _nobody_reads = writeln!(std::io::stderr(), "{words}");
}
