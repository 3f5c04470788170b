//! `cargo xtask`: the project's own commands. Everything a person or a CI runner does here is one of them.
//!
//! It builds, starts and looks at the product from outside; it uses none of the product's crates, so that a defect in
//! one of them cannot hide itself.

mod gate;
mod needs;
mod sh;
mod tidy;
mod victim;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Watchtree's own commands", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks what the compiler does not: the crate graph, first lines, sizes, hosts, paths.
    Tidy,
    /// The whole gate: fmt, tidy, clippy, docs, every test. What CI runs.
    Test,
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Tidy => tidy::run(),
        Command::Test => gate::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
