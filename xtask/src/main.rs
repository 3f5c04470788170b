//! `cargo xtask`: the project's own commands. Everything a person or a CI runner does here is one of them.
//!
//! It builds and starts the product and observes it from outside; it uses none of the product's crates, so that a defect in
//! one of them cannot hide itself.

#[macro_use]
mod print;

mod bench;
mod demo;
mod dist;
mod documents;
mod engine;
mod engine_truth;
mod figures;
mod fleet;
mod gate;
mod http;
mod interrupt;
mod leftovers;
mod machine;
mod matrix;
mod mutants;
mod owner;
mod pdeathsig;
mod prepare;
mod prerequisites;
mod process;
mod sh;
mod tidy;
mod torture;
mod victim;
mod victims;
mod watchdog;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Watchtree's own commands", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks what the compiler does not: the crate graph, import cycles, sizes, arguments, first lines, hosts, paths.
    Tidy,
    /// The whole gate: fmt, tidy, clippy, docs, every test. What CI runs.
    Test,
    /// Shows the whole product on this machine: hurts containers and daemons, and tells what came of it.
    Demo {
        /// Writes the table, if every row held, into docs/benchmarks.md and the README.
        #[arg(long)]
        record: bool,
        /// Takes the programs in this folder instead of building them.
        #[arg(long, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
    /// Measures.
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// What real engines say, as data that the simulator's engine is held against.
    EngineTruth {
        #[command(subcommand)]
        truth: engine_truth::Truth,
    },
    /// Makes one tarball: programs, units, samples, licences, checksums.
    Dist,
    /// Runs the commands of the set-up documents on machines with systemd, from the tarball.
    Documents {
        /// `one-host`, `two-hosts`; both if none is named.
        only: Vec<String>,
    },
    /// Changes the core in small ways and counts which changes its tests notice.
    Mutants {
        /// Chooses the sample.
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: usize,
        /// At least so many mutants, unless there are fewer.
        #[arg(long, default_value_t = 150, value_name = "COUNT")]
        sample: usize,
        /// Writes the score into docs/mutants.md.
        #[arg(long)]
        record: bool,
    },
    /// Hurts thirty containers, their engine and the watchdog at random, and judges all that the watchdog does.
    Torture(torture::Torture),
    /// Plays the healing cases on every engine there is, and prints a table.
    Matrix(matrix::Matrix),
    /// Becomes a program that gets SIGTERM when PARENT ends; demo and bench start their daemons so.
    #[command(hide = true)]
    Pdeathsig {
        parent: i32,
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Tidy => tidy::run(),
        Command::Test => gate::run(),
        Command::Demo { record, programs } => demo::run(programs, record),
        Command::Bench { bench } => bench::run(bench),
        Command::EngineTruth { truth } => engine_truth::run(&truth),
        Command::Dist => dist::make().map(drop),
        Command::Documents { only } => documents::run(&only),
        Command::Mutants { seed, sample, record } => mutants::run(mutants::Plan { seed, sample, record }),
        Command::Torture(how) => torture::run(&how),
        Command::Matrix(how) => matrix::run(&how),
        Command::Pdeathsig { parent, words } => pdeathsig::run(parent, &words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
