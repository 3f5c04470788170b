//! What the manager says of itself, from what it knows of itself. Pure.

use super::partition::ViewShare;
use crate::verdict::{ObserverHealth, State};
use alloc::format;
use alloc::string::{String, ToString};

/// What the manager's own state follows from.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnState<'a> {
    /// Set while it holds itself for the one that is cut off.
    pub(super) cut_off: Option<ViewShare>,
    pub(super) may_judge: bool,
    pub(super) health: ObserverHealth,
    /// Its conditions that are bad, in words.
    pub(super) remarks: &'a [String],
    pub(super) hosts: usize,
}

impl OwnState<'_> {
    /// The state, and why.
    pub(super) fn judge(self) -> (State, String) {
        if let Some(share) = self.cut_off {
            let why = format!("{} are silent: holds itself for the one cut off", share.words());
            return (State::Degraded, why);
        }
        if !self.may_judge {
            let why = "judges nobody yet: waits for a whole healthy window";
            return (State::Starting, why.to_string());
        }
        if ObserverHealth(ObserverHealth::DEGRADED) <= self.health {
            let why = "it stalled again and again: its verdicts are only weak";
            return (State::Degraded, why.to_string());
        }
        if self.remarks.is_empty() {
            return (State::Ok, format!("watches {} hosts", self.hosts));
        }
        (State::Degraded, self.remarks.join("; "))
    }
}

#[cfg(test)]
mod tests {
    //! The worst of what is true is told.
    use super::*;

    #[test]
    fn what_keeps_it_from_judging_comes_before_what_it_lacks() {
        let remarks = ["store: the disk is full".to_string()];
        let well = OwnState {
            cut_off: None,
            may_judge: true,
            health: ObserverHealth(0),
            remarks: &[],
            hosts: 3,
        };
        assert_eq!(well.judge(), (State::Ok, "watches 3 hosts".to_string()));
        let lacking = OwnState {
            remarks: &remarks,
            ..well
        };
        assert_eq!(lacking.judge(), (State::Degraded, remarks[0].clone()));
        let ill = OwnState {
            health: ObserverHealth(ObserverHealth::DEGRADED),
            ..lacking
        };
        assert!(ill.judge().1.starts_with("it stalled again"));
        let settling = OwnState {
            may_judge: false,
            ..ill
        };
        assert_eq!(settling.judge().0, State::Starting);
        let cut_off = OwnState {
            cut_off: Some(ViewShare::SILENT),
            ..settling
        };
        assert_eq!(cut_off.judge().0, State::Degraded);
    }
}
