//! What is wrong with the network that a container joins: without its owner the engine refuses every start, and an owner that was
//! started anew has a new one, in which whoever joined the old one is not. Pure.

use super::health_check::HealthEvidence;
use super::observation::{ContainerObservation, Status};
use crate::time::Moment;
use alloc::string::{String, ToString};

/// A full id has so many digits; what is shorter may be a name, which may be used again.
const ID_DIGITS: usize = 64;

/// Where the network of one that joins another is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NetworkAway {
    /// The owner is there, of that name, and does not run.
    Down(String),
    /// The owner was removed.
    Gone,
    /// Both run, in two network namespaces: the owner began another life, and took the network that was joined along.
    Renewed {
        /// The owner's name.
        owner: String,
        /// Since when that is known.
        since: Moment,
        /// Nothing says that it is not well.
        is_well: bool,
    },
}

impl NetworkAway {
    /// Of `it`, and the owner that is known by its `joins`, once all containers were listed.
    pub(crate) fn of(it: &ContainerObservation, owner: Option<&ContainerObservation>, is_listed: bool) -> Option<Self> {
        let joins = it.view()?.joins.as_ref()?;
        let Some(owner) = owner else {
            return (is_listed && joins.len() == ID_DIGITS).then_some(Self::Gone);
        };
        match owner.status() {
            Status::Created | Status::Backoff | Status::Down | Status::Removing => {
                Some(Self::Down(owner.name().to_string()))
            }
            Status::Running => Self::renewed(it, owner),
            Status::Paused | Status::Unknown => None,
        }
    }

    /// The kernel says so of both processes: no clock and no event is asked.
    fn renewed(it: &ContainerObservation, owner: &ContainerObservation) -> Option<Self> {
        let ((ours, _), (theirs, since)) = (it.network()?, owner.network()?);
        (ours != theirs).then(|| Self::Renewed {
            owner: owner.name().to_string(),
            since,
            is_well: matches!(owner.health(), Some(HealthEvidence::NoCheck | HealthEvidence::Passing)),
        })
    }
}

#[cfg(test)]
mod tests {
    //! Only a full id that is on no list is gone for good; only what the kernel shows of both is another network.
    use super::*;
    use crate::container::io::{ContainerView, EngineTime, RunState};

    fn running(id: &str, joins: Option<&str>, pid: u32) -> ContainerObservation {
        let mut it = ContainerObservation::new(id.into(), Moment::ZERO);
        let view = ContainerView {
            id: id.into(),
            name: id.into(),
            run: RunState::Running,
            started_at: EngineTime(1),
            started_at_text: "1".into(),
            joins: joins.map(Into::into),
            pid,
            ..ContainerView::default()
        };
        assert!(it.begin_inspection(Moment::ZERO));
        it.absorb(Moment::ZERO, view);
        it
    }

    #[test]
    fn an_owner_is_gone_only_where_a_list_lacks_its_full_id() {
        let id = "a".repeat(ID_DIGITS);
        let (by_id, by_name) = (running("app", Some(&id), 7), running("app", Some("vpn"), 7));
        assert_eq!(NetworkAway::of(&by_id, None, true), Some(NetworkAway::Gone));
        assert_eq!(NetworkAway::of(&by_id, None, false), None);
        assert_eq!(NetworkAway::of(&by_name, None, true), None);
        assert_eq!(NetworkAway::of(&running("app", None, 7), None, true), None);
    }

    #[test]
    fn two_namespaces_are_two_networks_and_of_one_that_is_not_known_nothing_is() {
        let (mut app, mut vpn) = (running("app", Some("vpn"), 7), running("vpn", None, 8));
        let is_away =
            |app: &ContainerObservation, vpn: &ContainerObservation| NetworkAway::of(app, Some(vpn), true).is_some();
        assert!(!is_away(&app, &vpn));
        app.network_seen(Moment::ZERO, (7, 40));
        assert!(!is_away(&app, &vpn), "nothing is known of the owner's");
        vpn.network_seen(Moment::ZERO, (8, 40));
        assert!(!is_away(&app, &vpn), "it is the same");
        vpn.network_seen(Moment::ZERO, (9, 41));
        assert!(!is_away(&app, &vpn), "of a process that is not its present one");
        vpn.network_seen(Moment::ZERO, (8, 41));
        assert!(is_away(&app, &vpn));
    }
}
