//! Lines for readers that may have gone: a closed terminal or pipe must not end the process while it cleans up, as
//! `println!` would by its panic. It does not know what is written.

use std::fmt::Arguments;
use std::io::Write;

/// As `println!`, whoever reads.
macro_rules! outln {
    ($($words:tt)*) => { $crate::print::out(format_args!($($words)*)) };
}

/// As `eprintln!`, whoever reads.
macro_rules! errln {
    ($($words:tt)*) => { $crate::print::err(format_args!($($words)*)) };
}

pub(crate) fn out(words: Arguments<'_>) {
    let _nobody_reads = writeln!(std::io::stdout(), "{words}");
}

pub(crate) fn err(words: Arguments<'_>) {
    let _nobody_reads = writeln!(std::io::stderr(), "{words}");
}
