//! One that runs, and that on which it stands has begun another life since: it is restarted after it, once that is well. It has not
//! failed itself, and many such have one cause that is known. Pure.

use super::around::Around;
use crate::container::io::Namespace;
use crate::container::namespace_away::NamespaceAway;
use crate::subject::Incarnation;
use crate::supervisor::{Assessment, Shown};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

/// So long another one stays up before those that stand on it are restarted after it: whoever restarted that may be about to restart
/// these too.
const STAYS: Duration = Duration::from_secs(5);

/// We restarted another one, and this is to be restarted with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RestartAfter {
    /// The other's name.
    pub(crate) parent: String,
    /// Its new incarnation.
    pub(crate) began: Incarnation,
    /// When we saw that.
    pub(crate) since: Moment,
    /// Of this one, which is older than that.
    pub(crate) own: Incarnation,
}

/// See the module's text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stale {
    how: String,
    /// It is of no use any more as it is.
    is_cut_off: bool,
    /// Not before; later where the other is not well then.
    due: Moment,
    is_well: bool,
    cause: String,
    fact: Evidence,
}

impl Stale {
    /// What is known around it, and the restart of another that it is to follow.
    pub(super) fn of(around: &Around<'_>, after: Option<&RestartAfter>) -> Option<Self> {
        if let Some(NamespaceAway::Renewed {
            namespace,
            owner,
            since,
            is_well,
        }) = &around.away
        {
            return Some(Self::cut_off(*namespace, owner, *since, *is_well));
        }
        let after = after.filter(|after| after.own == around.observation.incarnation())?;
        let mut parents = around.parents.seen.iter();
        let parent = parents.find(|parent| parent.restarts_others(&after.began))?;
        let detail = format!("{} was started by this watchdog: {}", after.parent, after.began.0);
        Some(Self {
            how: format!("{}, with which it is restarted, was restarted", after.parent),
            is_cut_off: false,
            due: after.since + STAYS,
            is_well: parent.is_well(),
            cause: "its labels ask for it, and this watchdog restarted the other".to_string(),
            fact: Evidence::new(EvidenceKind::NewIncarnation, after.since, detail),
        })
    }

    fn cut_off(namespace: Namespace, owner: &str, since: Moment, is_well: bool) -> Self {
        let what = namespace.as_str();
        let kind = match namespace {
            Namespace::Network => EvidenceKind::NetworkLost,
            Namespace::Pid | Namespace::Ipc => EvidenceKind::NamespaceLost,
        };
        let detail = format!("its {what} namespace is not that of {owner}, by /proc");
        Self {
            how: format!("cut off: {owner}, whose {what} it joins, was started anew, and has another one since"),
            is_cut_off: true,
            due: since + STAYS,
            is_well,
            cause: format!("the kernel shows that it is not in the {what} that it joins"),
            fact: Evidence::new(kind, since, detail),
        }
    }

    /// Why it is known that it is to be restarted.
    pub(super) fn cause(&self) -> &str {
        &self.cause
    }

    /// What is to be done of it now.
    pub(super) fn assess(self, now: Moment) -> Assessment {
        let until = match self.is_well {
            true => self.due,
            false => self.due.max(now + STAYS),
        };
        if until <= now {
            return Assessment::Stale {
                how: self.how,
                evidence: vec![self.fact],
                is_well: !self.is_cut_off,
            };
        }
        let (state, how) = match self.is_cut_off {
            true => (State::Suspect, self.how),
            false => (State::Ok, format!("running; {}", self.how)),
        };
        Assessment::Pending {
            until: Some(until),
            shown: Shown::new(state, format!("{how}; waits until that is well")),
        }
    }
}
