//! What bears on all containers at once: holds of people, and whether this watchdog or its machine is going down.

use super::lifecycle::Lifecycle;
use crate::holds::Holds;

/// See the module's text.
#[derive(Clone, Copy)]
pub(crate) struct Climate<'a> {
    pub(crate) holds: &'a Holds,
    /// Nothing new is begun, and nothing is judged: the events since are for the process that comes after this one.
    pub(crate) is_leaving: bool,
    /// The machine goes down.
    pub(crate) hands_off: bool,
}

impl<'a> Climate<'a> {
    pub(crate) fn new(holds: &'a Holds, lifecycle: Lifecycle) -> Self {
        Self {
            holds,
            is_leaving: !lifecycle.is_healing(),
            hands_off: lifecycle.is_hands_off(),
        }
    }
}
