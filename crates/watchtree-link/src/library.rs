//! Checks the libzmq that is linked: its version, and that it has CURVE.

use crate::error::LinkError;

/// Refuses to go on unless the linked libzmq is 4.3.5 or later and knows CURVE. `start` calls it too; a daemon calls it first of all.
///
/// # Errors
/// [`LinkError::Library`] names what was linked.
pub fn check() -> Result<(), LinkError> {
    libzmq_curve_sys::check().map_err(|unfit| LinkError::Library {
        what: unfit.to_string(),
    })
}
