//! container-watchdog: repairs the containers of one engine.
//!
//! A table of contents: decisions are made in `watchtree-core`, the edges are crates of their own. `setup` reads the configuration,
//! `engine_claim` and `lock` exclude a second process, `journal_keeper` writes, `effect_executor` executes the effects, `processes`
//! holds what runs, `captures` takes what a restart destroys, `parent` is the link to host-watchdog, `status` the API.

mod capture_files;
mod captures;
mod effect_executor;
mod engine_claim;
mod fault;
mod journal_keeper;
mod lock;
mod parent;
mod prober;
mod processes;
mod run;
mod setup;
mod shim;
mod status;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use watchtree_runtime::{Code, Exit, exit};

const EXAMPLES: &str = "\
Examples:
  container-watchdog run --engine docker --observe      look only, heal nothing
  container-watchdog run --config /etc/watchtree/host.toml --engine docker
  container-watchdog check-config /etc/watchtree/host.toml
  watchtree --local status                              what it sees, from another terminal

Exit codes: 0 ended in order, 1 failed, 2 bad input (flags, configuration, key file), 6 no rights, 8 taken (the engine has \
a healer)";

/// What is under way on other threads at the end may take so long.
const END_WITHIN: Duration = Duration::from_millis(100);

#[derive(Parser)]
#[command(version, about = "Heals the containers of one engine", long_about = None, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch and heal until told to stop.
    Run {
        /// The host's configuration file, shared with host-watchdog.
        #[arg(long, default_value = "/etc/watchtree/host.toml")]
        config: PathBuf,
        /// Which `[[engine]]` of it.
        #[arg(long, default_value = "docker")]
        engine: String,
        /// Heal nothing, whatever the file says.
        #[arg(long)]
        observe: bool,
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
            let ours = if error.use_stderr() { Code::BadInput } else { Code::Ok };
            // Nothing can be said if standard output is closed.
            let _ = error.print();
            return ExitCode::from(ours as u8);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::finish("container-watchdog", error.as_ref()),
    }
}

fn start(command: Command) -> anyhow::Result<()> {
    match command {
        Command::CheckConfig { file } => {
            setup::read(&file)?;
            println!("{}: in order", file.display());
            Ok(())
        }
        Command::Run {
            config,
            engine,
            observe,
        } => {
            watchtree_link::check().map_err(|error| Exit::new(Code::Failed, error.to_string()))?;
            let plan = setup::plan(&config, &engine, observe)?;
            watchtree_os::memory::keep_little();
            let runtime = watchtree_runtime::one_thread_runtime()?;
            let ended = runtime.block_on(run::run(plan));
            // A list that the engine does not answer must not hold up the end.
            runtime.shutdown_timeout(END_WITHIN);
            ended
        }
    }
}
