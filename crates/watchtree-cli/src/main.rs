//! `watchtree`: the command line. A client of the HTTP API; does not know the core, links or engines.
//!
//! A table of contents: `args` are the arguments, `target` selects the daemons to ask, `show` and `render` print answers, `ask` sends
//! orders, `key` and `config` work on files, `dev` runs a whole tree.

mod args;
mod ask;
mod config;
mod dev;
mod fail;
mod key;
mod render;
mod show;
mod target;

use args::{Cli, Command, PolicyCommand};
use clap::Parser;
use fail::{Code, Fail};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Code::BadInput } else { Code::Ok };
            // Nothing can be said if standard output is closed.
            let _ = error.print();
            return ExitCode::from(code as u8);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Fail::new(Code::Failed, error.to_string()).report(),
    };
    match runtime.block_on(run(&cli)) {
        Ok(code) => ExitCode::from(code as u8),
        Err(fail) => fail.report(),
    }
}

async fn run(cli: &Cli) -> Result<Code, Fail> {
    match &cli.command {
        Command::Status => show::status(cli).await,
        Command::Tree { depth, filter } => show::tree(cli, *depth, filter.as_deref()).await,
        Command::Events(asked) => show::events(cli, asked).await,
        Command::Incidents { all } => show::incidents(cli, *all).await,
        Command::Explain { subject } => show::explain(cli, subject).await,
        Command::Policy {
            command: PolicyCommand::Show { subject },
        } => show::policy(cli, subject).await,
        Command::Hold { subject, lasts } => ask::hold(cli, subject, *lasts).await,
        Command::Release { subject } => ask::release(cli, subject).await,
        Command::Retry { subject } => ask::retry(cli, subject).await,
        Command::Forget { host } => ask::forget(cli, host).await,
        Command::Config { command } => config::run(cli, command),
        Command::Key { command } => key::run(cli, command),
        Command::Dev(asked) => dev::run(asked).await,
    }
}
