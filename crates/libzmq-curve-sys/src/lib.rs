//! Builds libzmq 4.3.5 with CURVE (libsodium), statically, for zmq-sys.
//!
//! Contract: a binary that calls [`check`] links that library and no other, and runs only with it. [`seed_rand`] is called
//! once, before the first ZeroMQ context and before other threads use `rand`. Knows nothing of sockets.

#![expect(unsafe_code, reason = "libzmq and libc are C")]

use std::ffi::c_int;
use std::fmt;

/// The oldest libzmq we run with: older ones have known holes (CVE-2020-15166 and friends) or lack options we set.
pub const VERSION_MIN: (i32, i32, i32) = (4, 3, 5);

/// The libzmq that was linked is not the one this crate builds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unfit {
    /// Its version.
    pub version: (i32, i32, i32),
    /// Whether it knows CURVE.
    pub curve: bool,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.version;
        let curve = if self.curve { "with" } else { "without" };
        write!(
            f,
            "linked with libzmq {major}.{minor}.{patch} {curve} CURVE, needed is 4.3.5 or later with CURVE: \
             build inside the workspace folder, so that .cargo/config.toml is read"
        )
    }
}

impl std::error::Error for Unfit {}

/// What is linked: version of libzmq, and whether it knows CURVE.
pub fn linked() -> ((i32, i32, i32), bool) {
    let (mut major, mut minor, mut patch): (c_int, c_int, c_int) = (0, 0, 0);
    // SAFETY: three valid pointers to integers, as the function asks for.
    unsafe { zmq_sys::zmq_version(&mut major, &mut minor, &mut patch) };
    // SAFETY: a NUL-terminated literal.
    let curve = unsafe { zmq_sys::zmq_has(c"curve".as_ptr()) } == 1;
    ((major, minor, patch), curve)
}

/// Refuses a libzmq that is older than [`VERSION_MIN`] or has no CURVE. Every daemon calls it before anything else.
///
/// # Errors
/// [`Unfit`] says what was linked.
pub fn check() -> Result<(), Unfit> {
    let (version, curve) = linked();
    if curve && VERSION_MIN <= version {
        Ok(())
    } else {
        Err(Unfit { version, curve })
    }
}

/// Seeds libc's `rand` once per process. libzmq draws its routing ids and reconnect jitter from it and never seeds it: all processes
/// would draw the same numbers, and a stranger could foretell routing ids.
pub fn seed_rand() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: libsodium's own contract: init first (it may be called again and from any thread), then draw.
        let seed = unsafe {
            libsodium_sys::sodium_init();
            libsodium_sys::randombytes_random()
        };
        // SAFETY: `srand` has no precondition; glibc locks its state.
        unsafe { libc::srand(seed) };
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_linked_library_is_ours() {
        assert_eq!(super::linked(), ((4, 3, 5), true));
        super::check().unwrap();
    }

    #[test]
    fn an_unfit_library_is_named_in_one_line() {
        let line = super::Unfit {
            version: (4, 3, 4),
            curve: false,
        }
        .to_string();
        assert!(line.contains("4.3.4 without CURVE") && !line.contains('\n'), "{line}");
    }
}
