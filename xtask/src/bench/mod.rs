//! `cargo xtask bench`: what the product costs, measured from outside, each figure beside a floor or a peer of the same run.

mod cpu;
mod ground;
mod heal;
mod idle;
mod probes;
mod recover;

use anyhow::Result;
use clap::Subcommand;
use std::path::PathBuf;

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// From kill -9 of a container's init to its new process: ours, the floor, and the engine's own restart.
    Recover {
        /// A few runs, to see that it works; writes no documents.
        #[arg(long)]
        quick: bool,
        /// Takes the programs in this folder instead of building them; writes no documents.
        #[arg(long, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
    /// How soon what failed is back, beside what could be done by hand: crash, hangs, all at once, the engine's own end.
    Heal {
        /// A few runs, to see that it works; writes no documents.
        #[arg(long)]
        quick: bool,
        /// Takes the programs in this folder instead of building them; writes no documents.
        #[arg(long, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
    /// Processor time and memory of the three daemons while nothing happens, and what they cost the engine.
    Idle {
        /// Containers that run and are watched.
        #[arg(long, default_value_t = 100, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=500))]
        containers: u16,
        /// Length of one window; there are five for each set of programs, in turn.
        #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
        window: u16,
        /// Takes the programs in this folder instead of building them; writes no documents.
        #[arg(long, value_name = "DIR")]
        programs: Option<PathBuf>,
        /// Measures the programs in this folder too, in the same run: those of another version.
        #[arg(long, value_name = "DIR")]
        beside: Option<PathBuf>,
    },
    /// What probes of containers cost, and how soon they find a process that hangs. Writes no documents.
    Probes {
        /// Containers that are probed over HTTP once a second.
        #[arg(long, default_value_t = 100, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=500))]
        containers: u16,
        /// Length of the window in which the cost is measured.
        #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
        window: u16,
        /// How many hang, one after the other, and as many that are restarted by the engine at a word.
        #[arg(long, default_value_t = 12, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=100))]
        hangs: u16,
        /// Takes the programs in this folder instead of building them.
        #[arg(long, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
}

/// Measures.
///
/// # Errors
/// Something could not be measured, or a figure misses what is to be reached.
pub(crate) fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Recover { quick, programs } => recover::recover(quick, programs),
        Bench::Heal { quick, programs } => heal::heal(&heal::Plan { quick, programs }),
        Bench::Idle {
            containers,
            window,
            programs,
            beside,
        } => idle::idle(&idle::Plan {
            containers,
            window: std::time::Duration::from_secs(window.into()),
            programs,
            beside,
        }),
        Bench::Probes {
            containers,
            window,
            hangs,
            programs,
        } => probes::probes(&probes::Plan {
            containers,
            window: std::time::Duration::from_secs(window.into()),
            hangs,
            programs,
        }),
    }
}
