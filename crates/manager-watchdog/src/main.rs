//! manager-watchdog: the tree of all hosts, incidents, orders.
//!
//! A table of contents: decisions are made in `watchtree-core`, the edges are crates of their own. `setup` reads the configuration,
//! `run` connects the parts, `hosts` is the link to the hosts, `effect_executor` executes the effects, `webhook` notifies people, `api`
//! answers, `history` reads older records.

mod api;
mod effect_executor;
mod history;
mod hosts;
mod probe_targets;
mod run;
mod setup;
mod webhook;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use watchtree_runtime::{Code, Exit, exit};

const EXAMPLES: &str = "\
Examples:
  manager-watchdog run --config /etc/watchtree/manager.toml
  manager-watchdog check-config /etc/watchtree/manager.toml
  watchtree status                                      what it sees, from another terminal

Exit codes: 0 ended in order, 1 failed, 2 bad input (flags, configuration, key file), 6 no rights, 8 taken (port or \
socket in use)";

#[derive(Parser)]
#[command(version, about = "Watches all hosts: the tree, incidents, orders", long_about = None, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch until told to stop.
    Run {
        /// The manager's configuration file.
        #[arg(long, default_value = "/etc/watchtree/manager.toml")]
        config: PathBuf,
    },
    /// Check a configuration file and touch nothing else.
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => start(cli.command),
        Err(error) => {
            let code = if error.use_stderr() { Code::BadInput } else { Code::Ok };
            // Nothing can be said if standard output is closed.
            let _ = error.print();
            return ExitCode::from(code as u8);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::finish("manager-watchdog", error.as_ref()),
    }
}

fn start(command: Command) -> anyhow::Result<()> {
    match command {
        Command::CheckConfig { file } => {
            setup::read(&file)?;
            println!("{}: in order", file.display());
            Ok(())
        }
        Command::Run { config } => {
            watchtree_link::check().map_err(|error| Exit::new(Code::Failed, error.to_string()))?;
            let plan = setup::plan(&config)?;
            watchtree_runtime::tokio_runtime()?.block_on(run::run(plan))
        }
    }
}
