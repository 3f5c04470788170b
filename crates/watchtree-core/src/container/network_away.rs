//! Whether the container whose network another one joins runs: without it the engine refuses every start. Pure.

use super::observation::{ContainerObservation, Status};
use alloc::string::{String, ToString};

/// A full id has so many digits; what is shorter may be a name, which may be used again.
const ID_DIGITS: usize = 64;

/// It does not run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NetworkAway {
    /// It is there, of that name.
    Down(String),
    /// It was removed.
    Gone,
}

impl NetworkAway {
    /// The owner that is known by `joins`, once all containers were listed.
    pub(crate) fn of(joins: &str, owner: Option<&ContainerObservation>, is_listed: bool) -> Option<Self> {
        let Some(owner) = owner else {
            return (is_listed && joins.len() == ID_DIGITS).then_some(Self::Gone);
        };
        let away = matches!(
            owner.status(),
            Status::Created | Status::Backoff | Status::Down | Status::Removing
        );
        away.then(|| Self::Down(owner.name().to_string()))
    }
}

#[cfg(test)]
mod tests {
    //! Only a full id that is on no list is gone for good.
    use super::*;

    #[test]
    fn an_owner_is_gone_only_where_a_list_lacks_its_full_id() {
        let id = "a".repeat(ID_DIGITS);
        assert_eq!(NetworkAway::of(&id, None, true), Some(NetworkAway::Gone));
        assert_eq!(NetworkAway::of(&id, None, false), None);
        assert_eq!(NetworkAway::of("vpn", None, true), None);
    }
}
