//! host-watchdog: keeps the container-watchdogs of one machine alive and reports the machine to its manager.
//!
//! A table of contents: decisions are made in `watchtree_core::host`, the edges are crates of their own.

mod alerts;
mod api;
mod children;
mod effect_executor;
mod figures;
mod links;
mod orders;
mod probes;
mod refusals;
mod repairer;
mod run;
mod stop_children;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use watchtree_runtime::{Code, Exit, exit};

const EXAMPLES: &str = "\
Examples:
  host-watchdog run --config /etc/watchtree/host.toml
  host-watchdog check-config /etc/watchtree/host.toml
  host-watchdog test-alert                              sends a test to each [[webhook]] and [[hook]], now
  watchtree --local status                              what it sees, from another terminal

Exit codes: 0 ended in order, 1 failed, 2 bad input (flags, configuration, key file), 6 no rights, 8 taken (a socket in use)";

/// Keeps the container-watchdogs of this machine alive and reports the machine to its manager.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Works until it is asked to stop.
    Run {
        /// The configuration.
        #[arg(long, default_value = "/etc/watchtree/host.toml")]
        config: PathBuf,
    },
    /// Ends the container-watchdogs that a crashed host-watchdog left behind, when it cannot be started again. Needs no
    /// configuration that can be read.
    StopChildren {
        /// The configuration they were started with.
        #[arg(long, default_value = "/etc/watchtree/host.toml")]
        config: PathBuf,
    },
    /// Sends a test message to each webhook and program of the configuration, now, and says what came of it.
    TestAlert {
        /// The configuration.
        #[arg(long, default_value = "/etc/watchtree/host.toml")]
        config: PathBuf,
    },
    /// Checks a configuration and does nothing else.
    CheckConfig {
        /// The configuration.
        #[arg(default_value = "/etc/watchtree/host.toml")]
        file: PathBuf,
    },
}

const PROGRAM: &str = "host-watchdog";

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::StopChildren { config } => stop_children::stop(&config),
        Command::TestAlert { config: file } => run::read_config(&file).and_then(|config| alerts::test(&file, &config)),
        Command::CheckConfig { file } => run::read_config(&file).map(|config| {
            println!(
                "{}: fine: host {}, {} engine(s)",
                file.display(),
                config.name,
                config.engines.len()
            );
        }),
    };
    match result {
        Ok(()) => ExitCode::from(Code::Ok as u8),
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(exit) => exit.report(PROGRAM),
            None => exit::finish(PROGRAM, error.as_ref()),
        },
    }
}
