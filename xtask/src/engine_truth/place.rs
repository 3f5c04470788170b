//! Where rows are played: an engine of our own, which can be hurt, or one that runs already and is others' too.

use super::api::Api;
use super::rig::Rig;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// See the top of this file.
pub(super) enum Place {
    Own(Rig),
    Shared(Shared),
}

/// An engine that runs already. Nothing is done to the engine itself.
pub(super) struct Shared {
    pub(super) api: Api,
    pub(super) data_root: PathBuf,
    /// A folder of this machine that the engine sees too.
    pub(super) dir: PathBuf,
}

impl Place {
    pub(super) fn api(&self) -> Result<Api> {
        match self {
            Self::Own(rig) => Api::own(rig.socket()),
            Self::Shared(shared) => Ok(shared.api.clone()),
        }
    }

    /// True unless it was killed, ended, or its power cut.
    pub(super) fn runs(&self) -> bool {
        match self {
            Self::Own(rig) => rig.runs(),
            Self::Shared(_) => true,
        }
    }

    /// Where containers' `/ctl` lie.
    pub(super) fn ctl(&self) -> PathBuf {
        match self {
            Self::Own(rig) => rig.ctl(),
            Self::Shared(shared) => shared.dir.join("ctl"),
        }
    }

    /// Where the engine keeps its containers.
    pub(super) fn data_root(&self) -> PathBuf {
        match self {
            Self::Own(rig) => rig.data_root(),
            Self::Shared(shared) => shared.data_root.clone(),
        }
    }

    /// The engine that can be hurt.
    ///
    /// # Errors
    /// It is others' too.
    pub(super) fn hurt(&mut self) -> Result<&mut Rig> {
        match self {
            Self::Own(rig) => Ok(rig),
            Self::Shared(_) => bail!("nothing is done to an engine that others use too"),
        }
    }

    /// After a row that could not be played nothing is known of an engine of our own: it begins anew.
    pub(super) fn begin_anew(&mut self) -> Result<()> {
        if let Self::Own(rig) = self {
            rig.power_cut()?;
            rig.start()?;
            rig.set_exec_broken(false)?;
        }
        self.api()?.clear()
    }
}
