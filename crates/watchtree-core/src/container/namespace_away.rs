//! What is wrong with the namespaces that a container joins: without their owner the engine refuses every start, and an owner that
//! was started anew has new ones, in which whoever joined the old ones is not. Pure.

use super::health_check::HealthEvidence;
use super::io::{ContainerId, Namespace};
use super::observation::{ContainerObservation, Status};
use super::standing::{is_ending, namespaces};
use crate::time::Moment;
use alloc::string::{String, ToString};

/// A full id has so many digits; what is shorter may be a name, which may be used again.
const ID_DIGITS: usize = 64;

/// Where a namespace of one that joins it is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NamespaceAway {
    /// The owner was removed.
    Gone(Namespace),
    /// The owner is there, of that name, and does not run.
    Down(Namespace, String),
    /// Both run, in two namespaces: the owner began another life, and took along what was joined.
    Renewed {
        namespace: Namespace,
        /// The owner's name.
        owner: String,
        /// Since when that is known.
        since: Moment,
        /// Nothing says that it is not well.
        is_well: bool,
    },
}

impl NamespaceAway {
    /// Of `it`, which joins that namespace of the container of that id or name: and what is known of that, once all containers were
    /// listed.
    pub(crate) fn of(
        it: &ContainerObservation,
        (namespace, joins): (Namespace, &ContainerId),
        owner: Option<&ContainerObservation>,
        is_listed: bool,
    ) -> Option<Self> {
        let Some(owner) = owner else {
            return (is_listed && joins.len() == ID_DIGITS).then_some(Self::Gone(namespace));
        };
        let down = || Self::Down(namespace, owner.name().to_string());
        match owner.status() {
            Status::Created | Status::Backoff | Status::Down | Status::Removing => Some(down()),
            Status::Running if is_ending(owner) => Some(down()),
            Status::Running => Self::renewed(it, namespace, owner),
            Status::Paused | Status::Unknown => None,
        }
    }

    /// The kernel says so of both processes: no clock and no event is asked.
    fn renewed(it: &ContainerObservation, namespace: Namespace, owner: &ContainerObservation) -> Option<Self> {
        let ((ours, _), (theirs, since)) = (namespaces(it)?, namespaces(owner)?);
        let (ours, theirs) = (ours.get(&namespace)?, theirs.get(&namespace)?);
        (ours != theirs).then(|| Self::Renewed {
            namespace,
            owner: owner.name().to_string(),
            since,
            is_well: !matches!(
                owner.health(),
                None | Some(HealthEvidence::NotYet | HealthEvidence::Failing)
            ),
        })
    }

    /// Of several, the one that says most about what can be done: a person is needed, it must wait, it is to be restarted.
    pub(crate) fn worst(all: impl Iterator<Item = Self>) -> Option<Self> {
        all.min_by_key(|it| match it {
            Self::Gone(_) => 0,
            Self::Down(..) => 1,
            Self::Renewed { .. } => 2,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Only a full id that is on no list is gone for good; only what the kernel shows of both is another namespace.
    use super::*;
    use crate::container::io::{ContainerView, EngineTime, Inodes, RunState};

    fn running(id: &str, pid: u32) -> ContainerObservation {
        let mut it = ContainerObservation::new(id.into(), Moment::ZERO);
        let view = ContainerView {
            id: id.into(),
            name: id.into(),
            run: RunState::Running,
            started_at: EngineTime(1),
            started_at_text: "1".into(),
            pid,
            ..ContainerView::default()
        };
        assert!(it.begin_inspection(Moment::ZERO));
        it.absorb(Moment::ZERO, view);
        it
    }

    #[test]
    fn an_owner_is_gone_only_where_a_list_lacks_its_full_id() {
        let (app, id, name) = (running("app", 7), "a".repeat(ID_DIGITS), "vpn".to_string());
        let of = |joins, is_listed| NamespaceAway::of(&app, (Namespace::Pid, joins), None, is_listed);
        assert_eq!(of(&id, true), Some(NamespaceAway::Gone(Namespace::Pid)));
        assert_eq!(of(&id, false), None);
        assert_eq!(of(&name, true), None);
    }

    #[test]
    fn two_inodes_are_two_namespaces_and_of_one_that_is_not_known_nothing_is() {
        for namespace in Namespace::ALL {
            let (mut app, mut vpn) = (running("app", 7), running("vpn", 8));
            let joins = (namespace, &"vpn".to_string());
            let is_away = |app: &ContainerObservation, vpn: &ContainerObservation| {
                NamespaceAway::of(app, joins, Some(vpn), true).is_some()
            };
            let inode = |inode| Inodes::from([(namespace, inode)]);
            assert!(!is_away(&app, &vpn));
            app.processes_mut().held(Moment::ZERO, 7, inode(40));
            assert!(!is_away(&app, &vpn), "nothing is known of the owner's");
            vpn.processes_mut().held(Moment::ZERO, 8, inode(40));
            assert!(!is_away(&app, &vpn), "it is the same");
            vpn.processes_mut().held(Moment::ZERO, 9, inode(41));
            assert!(!is_away(&app, &vpn), "of a process that is not its present one");
            vpn.processes_mut().held(Moment::ZERO, 8, Inodes::new());
            assert!(!is_away(&app, &vpn), "it cannot be read");
            vpn.processes_mut().held(Moment::ZERO, 8, inode(41));
            assert!(is_away(&app, &vpn));
            vpn.processes_mut().ended(Moment::ZERO, 8);
            let down = NamespaceAway::Down(namespace, "vpn".into());
            assert_eq!(NamespaceAway::of(&app, joins, Some(&vpn), true), Some(down), "it ends");
        }
    }

    #[test]
    fn one_that_needs_a_person_is_told_first() {
        let (gone, down) = (
            NamespaceAway::Gone(Namespace::Ipc),
            NamespaceAway::Down(Namespace::Network, "vpn".into()),
        );
        let all = [down.clone(), gone.clone()];
        assert_eq!(NamespaceAway::worst(all.into_iter()), Some(gone));
        assert_eq!(NamespaceAway::worst([].into_iter()), None);
    }
}
