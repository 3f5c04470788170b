//! Ctrl-C and SIGTERM as a flag, so that what was started is stopped and what was made is removed.

use anyhow::{Context, Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static ASKED_TO_STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and SIGTERM end nothing by themselves; [`check`] tells of them.
///
/// # Errors
/// The signal handlers could not be set.
pub(crate) fn catch() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("a signal runtime")?;
    let _guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(_guard);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        });
        ASKED_TO_STOP.store(true, Ordering::SeqCst);
    });
    Ok(())
}

/// An error once a person wants us to end.
pub(crate) fn check() -> Result<()> {
    if ASKED_TO_STOP.load(Ordering::SeqCst) {
        bail!("stopped by a signal; everything is being cleaned up");
    }
    Ok(())
}

/// Looks every `every` until `look` gives something; gives it with the time it took since `start`.
///
/// # Errors
/// Not within `within` of `start` (named by `what`), stopped by a person, or `look` failed.
pub(crate) fn wait<T>(
    what: &str,
    start: Instant,
    within: Duration,
    every: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<(T, Duration)> {
    loop {
        check()?;
        if let Some(seen) = look()? {
            return Ok((seen, start.elapsed()));
        }
        if within < start.elapsed() {
            bail!("{what}: not within {:.1} s", within.as_secs_f64());
        }
        std::thread::sleep(every);
    }
}
