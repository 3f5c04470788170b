//! Ctrl-C, SIGTERM and a closed terminal as a flag, so that what was started is stopped and what was made is removed.
//!
//! Contract: after [`catch`] these signals end nothing by themselves; each [`wait`] fails soon after one came. It does not
//! know what has to be cleaned up.

use anyhow::{Context, Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static ASKED_TO_STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C, SIGTERM and a closed terminal end nothing by themselves; [`check`] tells of them.
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
    // Whoever started us under `nohup` wants us to outlive the terminal.
    let mut hangup = if ignores_hangup() {
        None
    } else {
        Some(signal(SignalKind::hangup())?)
    };
    drop(_guard);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
                () = hung_up(hangup.as_mut()) => (),
            }
        });
        ASKED_TO_STOP.store(true, Ordering::SeqCst);
    });
    Ok(())
}

/// Waits for the end of the terminal; for ever if that is not to be heeded.
async fn hung_up(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// True if a closed terminal was to be ignored before we came.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is bit 0.
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// An error once a person wants us to end.
pub(crate) fn check() -> Result<()> {
    if ASKED_TO_STOP.load(Ordering::SeqCst) {
        bail!("stopped by a signal; everything is being cleaned up");
    }
    Ok(())
}

/// Polls every `every` until `poll` gives something; gives it with the time it took since `start`.
///
/// # Errors
/// Not within `within` of `start` (named by `what`), stopped by a person, or `poll` failed.
pub(crate) fn wait<T>(
    what: &str,
    start: Instant,
    within: Duration,
    every: Duration,
    mut poll: impl FnMut() -> Result<Option<T>>,
) -> Result<(T, Duration)> {
    loop {
        check()?;
        if let Some(seen) = poll()? {
            return Ok((seen, start.elapsed()));
        }
        if within < start.elapsed() {
            bail!("{what}: not within {:.1} s", within.as_secs_f64());
        }
        std::thread::sleep(every);
    }
}
