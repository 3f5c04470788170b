//! A tiny static service that crashes and hangs on request: what the demo and the tests put into containers.
//!
//! It answers lines over TCP, and HTTP requests; its state is three flags. It is told nothing of Watchtree.
//!
//! ```text
//! victim [serve]            serve at VICTIM_ADDRESS (127.0.0.1) : VICTIM_PORT (7400)
//! victim healthcheck [MS]   0 if the service on this port says it is well within MS (1000)
//! victim say COMMAND [MS]   sends one command and prints the answer
//! victim play               an init as its environment says; see play.rs (also `check`, `kill-init [SIGNAL]`)
//!
//! ping    pong PID NONCE    the nonce tells two starts apart
//! health  well | ill
//! ill, well                 sets what `health` says
//! unready, ready            sets what `GET /ready` says
//! GET /ready HTTP/1.1       200 or 503; any other path says what `health` says
//! crash   (exit 1)          exit0   (exit 0)
//! hang                      from now on nothing is answered and SIGTERM is ignored
//! ```
//!
//! `VICTIM_MODE=crash-loop` ends with 1 after `VICTIM_CRASH_AFTER_MS` (0) at each start; `VICTIM_IGNORE_TERM=1` ignores
//! SIGTERM. Otherwise SIGTERM ends it with 143, and SIGHUP is taken for "read your configuration again".

#![expect(unsafe_code, reason = "signal handlers and _exit")]

mod play;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static HANGS: AtomicBool = AtomicBool::new(false);
static ILL: AtomicBool = AtomicBool::new(false);
static UNREADY: AtomicBool = AtomicBool::new(false);
static IGNORES_TERM: AtomicBool = AtomicBool::new(false);

/// Longest command in bytes.
const COMMAND_BYTES_MAX: u64 = 64;
/// Longest header line of a request.
const HEADER_BYTES_MAX: u64 = 1024;
/// A connection that says nothing for this long is closed.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        None | Some("serve") => serve(),
        Some("healthcheck") => match say("health", within(args.next())) {
            Ok(answer) if answer == "well" => ExitCode::SUCCESS,
            Ok(answer) => fail(&format!("it says {answer}")),
            Err(error) => fail(&error.to_string()),
        },
        Some("say") => match say(&args.next().unwrap_or_default(), within(args.next())) {
            Ok(answer) => {
                println!("{answer}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string()),
        },
        Some("play") => play::play(),
        Some("check") => play::check(),
        Some("kill-init") => play::kill_init(args.next().as_deref()),
        Some(other) => fail(&format!(
            "unknown command {other:?}: use serve, healthcheck, say or play"
        )),
    }
}

fn fail(why: &str) -> ExitCode {
    println!("{why}");
    ExitCode::FAILURE
}

fn within(millis: Option<String>) -> Duration {
    Duration::from_millis(millis.and_then(|text| text.parse().ok()).unwrap_or(1000))
}

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn address() -> String {
    let host = std::env::var("VICTIM_ADDRESS").unwrap_or_else(|_| "127.0.0.1".to_owned());
    format!("{host}:{}", env_number("VICTIM_PORT", 7400))
}

fn serve() -> ExitCode {
    IGNORES_TERM.store(
        std::env::var_os("VICTIM_IGNORE_TERM").is_some_and(|value| value == "1"),
        Ordering::Relaxed,
    );
    handle_signals();
    if std::env::var("VICTIM_MODE").is_ok_and(|mode| mode == "crash-loop") {
        thread::sleep(Duration::from_millis(env_number("VICTIM_CRASH_AFTER_MS", 0)));
        return fail("crashing, as configured");
    }
    let nonce = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let listener = match TcpListener::bind(address()) {
        Ok(listener) => listener,
        Err(error) => return fail(&format!("cannot listen at {}: {error}", address())),
    };
    println!("victim {nonce} serves at {}", address());
    for stream in listener.incoming().flatten() {
        // A failed thread is a refused connection, which is all the client needs to know.
        let _ = thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || attend(stream, nonce));
    }
    ExitCode::FAILURE
}

fn attend(stream: TcpStream, nonce: u128) {
    if stream.set_read_timeout(Some(IDLE)).is_err() {
        return;
    }
    let mut reader = BufReader::new(&stream);
    loop {
        let mut line = String::new();
        match std::io::Read::take(&mut reader, COMMAND_BYTES_MAX).read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while HANGS.load(Ordering::Relaxed) {
            thread::park();
        }
        if let Some(path) = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) {
            // What it says is all that is wanted; whoever does not hear it has gone.
            let _ = serve_http(reader, &stream, path);
            return;
        }
        let answer = match line.trim() {
            "ping" => format!("pong {} {nonce}", std::process::id()),
            "health" => if ILL.load(Ordering::Relaxed) { "ill" } else { "well" }.to_owned(),
            "ill" => set(&ILL, true),
            "well" => set(&ILL, false),
            "unready" => set(&UNREADY, true),
            "ready" => set(&UNREADY, false),
            "hang" => {
                HANGS.store(true, Ordering::Relaxed);
                IGNORES_TERM.store(true, Ordering::Relaxed);
                // Answered, so that who asked knows that it happened.
                "hanging".to_owned()
            }
            "crash" => std::process::exit(1),
            "exit0" => std::process::exit(0),
            _ => "unknown".to_owned(),
        };
        if send(&stream, &answer).is_err() {
            return;
        }
    }
}

/// Reads the rest of a request, answers it, and closes.
fn serve_http(mut reader: impl BufRead, mut stream: &TcpStream, path: &str) -> std::io::Result<()> {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if std::io::Read::take(&mut reader, HEADER_BYTES_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let flag = if path == "/ready" { &UNREADY } else { &ILL };
    let (status, body) = match flag.load(Ordering::Relaxed) {
        false => ("200 OK", "well\n"),
        true => ("503 Service Unavailable", "ill\n"),
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes())
}

/// One write per line: two small ones would wait for the peer's delayed acknowledgement.
fn send(mut stream: &TcpStream, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes())
}

fn set(flag: &AtomicBool, value: bool) -> String {
    flag.store(value, Ordering::Relaxed);
    "ok".to_owned()
}

/// Connects, says one command, and requires an answer: a bare connect succeeds against a frozen process.
fn say(command: &str, within: Duration) -> std::io::Result<String> {
    let address = address()
        .parse()
        .map_err(|_| std::io::Error::other(format!("bad address {}", address())))?;
    let stream = TcpStream::connect_timeout(&address, within)?;
    stream.set_read_timeout(Some(within))?;
    send(&stream, command)?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// As PID 1 of a container it gets no default actions: without handlers SIGTERM would do nothing.
fn handle_signals() {
    extern "C" fn on_term(_signal: libc::c_int) {
        if !IGNORES_TERM.load(Ordering::Relaxed) {
            // SAFETY: _exit is safe in a signal handler.
            unsafe { libc::_exit(143) }
        }
    }
    extern "C" fn on_hup(_signal: libc::c_int) {}
    let handlers: [(libc::c_int, extern "C" fn(libc::c_int)); 3] = [
        (libc::SIGTERM, on_term),
        (libc::SIGINT, on_term),
        (libc::SIGHUP, on_hup),
    ];
    for (signal, handler) in handlers {
        // SAFETY: the handlers only touch atomics and call _exit; sigaction with SA_RESTART keeps I/O undisturbed.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}
