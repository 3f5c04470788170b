//! In which way a subject is not well. Plain data.

/// In which way a subject is not well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ill {
    /// It runs, but is not well.
    Running,
    /// It has ended.
    Down,
}
