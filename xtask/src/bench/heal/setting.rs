//! What each kind of failure is measured with: the engine, the daemons, and a plain victim. Measures nothing.

use crate::engine::Engine;
use crate::fleet::{self, Fleet};
use crate::leftovers;
use crate::victims::{Network, VictimSpec};
use anyhow::Result;
use std::path::Path;

/// What each kind of failure needs.
pub(super) struct Heal<'a> {
    pub(super) engine: &'a Engine,
    pub(super) image: &'a str,
    pub(super) run: &'a str,
    pub(super) programs: &'a Path,
}

impl Heal<'_> {
    /// The three daemons, on empty state, for the containers of that run. Dropped they end, and then their folder goes.
    ///
    /// # Errors
    /// They do not become ready.
    pub(super) fn fleet(&self, run: &str) -> Result<(Fleet, tempfile::TempDir)> {
        let folder = leftovers::folder("bench")?;
        let fleet = Fleet::start(&fleet::Plan {
            programs: self.programs,
            folder: folder.path(),
            run,
            engine: self.engine.socket(),
            webhook: None,
        })?;
        Ok((fleet, folder))
    }
}

/// A plain victim on the host's network.
pub(super) fn spec(image: &str, run: &str, name: &str) -> VictimSpec {
    VictimSpec {
        name: format!("wt-{name}"),
        image: image.to_owned(),
        run: run.to_owned(),
        network: Network::Host,
        healed: true,
        labels: Vec::new(),
        env: Vec::new(),
        health: None,
        restart: "no",
    }
}
