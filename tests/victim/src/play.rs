//! `victim play`: an init that does to signals, and by itself, what its environment says; `victim check`: its health
//! check. Both also read what they are told from files in `/ctl`, so that no call of an engine's API is needed for it.
//!
//! ```text
//! VICTIM_ON_TERM, _HUP, _QUIT, _USR1    "CODE@MS": ends with that code after that time; "ignore"
//! VICTIM_EXITS="CODE@MS"                ends by itself that long after its start
//! /ctl/now                              "exit CODE", "eat init", "eat child": done once, at once
//! /ctl/check                            the exit code of a check, or "hang"
//! ```

use std::process::ExitCode;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SIGNALS: [(libc::c_int, &str); 4] = [
    (libc::SIGTERM, "TERM"),
    (libc::SIGHUP, "HUP"),
    (libc::SIGQUIT, "QUIT"),
    (libc::SIGUSR1, "USR1"),
];
const IGNORED: i64 = -1;
/// By place in [`SIGNALS`]: code + 1000 × milliseconds.
static REACTIONS: [AtomicI64; 4] = [const { AtomicI64::new(IGNORED) }; 4];

fn code_at_ms(text: &str) -> Option<(i32, u64)> {
    let (code, ms) = text.split_once('@')?;
    Some((code.parse().ok()?, ms.parse().ok()?))
}

extern "C" fn on_signal(signal: libc::c_int) {
    let Some(place) = SIGNALS.iter().position(|(number, _)| *number == signal) else {
        return;
    };
    let reaction = REACTIONS[place].load(Ordering::Relaxed);
    if reaction != IGNORED {
        let ms = reaction / 1000;
        let time = libc::timespec {
            tv_sec: ms / 1000,
            tv_nsec: (ms % 1000) * 1_000_000,
        };
        // SAFETY: both calls are safe in a signal handler, and the pointer is to a local.
        unsafe {
            libc::nanosleep(&raw const time, std::ptr::null_mut());
            libc::_exit((reaction % 1000) as libc::c_int)
        }
    }
}

/// Plays until it ends.
pub(crate) fn play() -> ExitCode {
    for (place, (number, name)) in SIGNALS.iter().enumerate() {
        let usual = if *name == "TERM" { "143@0" } else { "ignore" };
        let wanted = std::env::var(format!("VICTIM_ON_{name}")).unwrap_or_else(|_| usual.to_owned());
        let reaction = code_at_ms(&wanted).map_or(IGNORED, |(code, ms)| i64::from(code) + 1000 * ms.cast_signed());
        REACTIONS[place].store(reaction, Ordering::Relaxed);
        // SAFETY: the handler touches atomics and async-signal-safe calls only.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(*number, &raw const action, std::ptr::null_mut());
        }
    }
    let exits = std::env::var("VICTIM_EXITS").ok().and_then(|text| code_at_ms(&text));
    let began = Instant::now();
    // An order to an earlier life, which had ended before it could be read.
    let _ = std::fs::remove_file("/ctl/now");
    loop {
        if let Some((code, ms)) = exits.filter(|(_, ms)| Duration::from_millis(*ms) <= began.elapsed()) {
            println!("ends with {code} after {ms} ms");
            std::process::exit(code);
        }
        if let Ok(order) = std::fs::read_to_string("/ctl/now")
            && std::fs::remove_file("/ctl/now").is_ok()
        {
            obey(order.trim());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn obey(order: &str) {
    match order.split_once(' ') {
        Some(("exit", code)) => std::process::exit(code.parse().unwrap_or(1)),
        Some(("eat", "init")) => eat(),
        // SAFETY: this process has one thread, so that the child may go on as it is.
        Some(("eat", "child")) => match unsafe { libc::fork() } {
            0 => eat(),
            _ => {
                // SAFETY: waits for the one child; no status is asked for.
                unsafe { libc::wait(std::ptr::null_mut()) };
            }
        },
        _ => println!("cannot {order:?}"),
    }
}

/// Takes memory until the kernel ends it.
fn eat() {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        eaten.push(vec![1; 1 << 20]);
    }
}

/// A health check whose end stands in a file.
pub(crate) fn check() -> ExitCode {
    let wanted = std::fs::read_to_string("/ctl/check").unwrap_or_default();
    match wanted.trim() {
        "hang" => loop {
            thread::sleep(Duration::from_secs(60));
        },
        "" | "0" => ExitCode::SUCCESS,
        code => {
            println!("the check ends with {code}");
            ExitCode::from(code.parse::<u8>().unwrap_or(1))
        }
    }
}

/// Sends a signal to the init of its container.
pub(crate) fn kill_init(signal: Option<&str>) -> ExitCode {
    let signal = signal.and_then(|text| text.parse().ok()).unwrap_or(libc::SIGTERM);
    // SAFETY: takes numbers alone.
    match unsafe { libc::kill(1, signal) } {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
