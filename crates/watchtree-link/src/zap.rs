//! Who may connect: the ZAP handler (ZeroMQ RFC 27) of a router's context.
//!
//! Contract: answers from memory, never blocks. 200 with a User-Id (the key as Z85, or `uid:gid:pid`) for who is allowed, 400 for all
//! others. It is bound before the router and closed after it; the router enforces it, so without a handler nobody gets in.

use crate::error::LinkError;
use crate::event::{LocalPeer, Peer, Refusal};
use crate::outbox::Outbox;
use std::collections::HashMap;
use watchtree_core::id::NodeName;
use watchtree_keys::{AllowList, CurvePublic};
use zmq::{Context, DONTWAIT, Socket, SocketType};

/// Most requests answered in one pass.
const REQUESTS_PER_PASS_MAX: usize = 1000;
/// Any name but the empty one: it switches ZAP on.
pub(crate) const DOMAIN: &str = "watchtree";

/// Who is allowed, and who is who.
pub(crate) enum Allowed {
    /// Node by key in Z85, which is the User-Id.
    Keys(HashMap<String, NodeName>),
    /// Users of this machine.
    Users(Vec<u32>),
}

impl Allowed {
    pub(crate) fn keys(list: &AllowList) -> Self {
        // A name that is none cannot be in the list: the directory's reader checks by the same rule.
        Self::Keys(
            list.iter()
                .filter_map(|(key, name)| Some((key.to_string(), NodeName::new(name).ok()?)))
                .collect(),
        )
    }

    pub(crate) fn users(more: &[u32]) -> Self {
        let mut users = vec![0, rustix::process::geteuid().as_raw()];
        users.extend(more);
        Self::Users(users)
    }

    /// The peer a User-Id stands for; `None` if it is not allowed (any more).
    pub(crate) fn peer(&self, user_id: &str) -> Option<Peer> {
        match self {
            Self::Keys(keys) => keys.get(user_id).cloned().map(Peer::Node),
            Self::Users(_) => credentials(user_id).map(Peer::Local),
        }
    }

    /// The User-Id of a request, or why it is refused.
    fn decide(&self, mechanism: &[u8], address: &str, credential: Option<&[u8]>) -> Result<String, Refusal> {
        match (self, mechanism, credential) {
            (Self::Keys(keys), b"CURVE", Some(key)) => {
                let key = CurvePublic(key.try_into().map_err(|_| Refusal::BadRequest)?).to_string();
                if keys.contains_key(&key) {
                    Ok(key)
                } else {
                    Err(Refusal::UnknownKey)
                }
            }
            (Self::Users(users), b"NULL", None) => {
                let (_, user_id) = address.split_once(':').ok_or(Refusal::BadRequest)?;
                let peer = credentials(user_id).ok_or(Refusal::BadRequest)?;
                if users.contains(&peer.uid) {
                    Ok(user_id.to_string())
                } else {
                    Err(Refusal::UnknownUser)
                }
            }
            _ => Err(Refusal::BadRequest),
        }
    }
}

/// `uid:gid:pid`
fn credentials(text: &str) -> Option<LocalPeer> {
    let mut numbers = text.split(':').map(str::parse);
    let peer = LocalPeer {
        uid: numbers.next()?.ok()?,
        gid: numbers.next()?.ok()?,
        pid: numbers.next()?.ok()?,
    };
    numbers.next().is_none().then_some(peer)
}

pub(crate) struct Zap {
    rep: Socket,
    pub(crate) allowed: Allowed,
}

impl Zap {
    pub(crate) fn new(context: &Context, allowed: Allowed) -> Result<Self, LinkError> {
        let make = || {
            let rep = context.socket(SocketType::REP)?;
            rep.set_linger(0)?;
            rep.bind("inproc://zeromq.zap.01")?;
            Ok(rep)
        };
        Ok(Self {
            rep: make().map_err(LinkError::zmq("bind the authenticator"))?,
            allowed,
        })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.rep
    }

    /// Answers what has come, without blocking.
    pub(crate) fn serve(&self, up: &mut Outbox) {
        for _ in 0..REQUESTS_PER_PASS_MAX {
            let Ok(request) = self.rep.recv_multipart(DONTWAIT) else {
                return;
            };
            let reply = self.answer(&request, up);
            if let Err(error) = self.rep.send_multipart(reply, DONTWAIT) {
                tracing::warn!(%error, "link: an authentication went unanswered; the peer will try again");
            }
        }
    }

    fn answer(&self, request: &[Vec<u8>], up: &mut Outbox) -> [Vec<u8>; 6] {
        // version, request id, domain, address, routing id of *our* socket, mechanism, credentials
        let part = |index: usize| request.get(index).map(Vec::as_slice);
        let address = String::from_utf8_lossy(part(3).unwrap_or_default());
        // A socket of both families shows IPv4 addresses in this form.
        let address = address.strip_prefix("::ffff:").unwrap_or(&address).to_string();
        let decision = match part(0) {
            Some(b"1.0") => self.allowed.decide(part(5).unwrap_or_default(), &address, part(6)),
            _ => Err(Refusal::BadRequest),
        };
        let (status, user_id) = match decision {
            Ok(user_id) => ("200", user_id),
            Err(why) => {
                up.refuse(why, &address);
                ("400", String::new())
            }
        };
        let id = part(1).unwrap_or_default().to_vec();
        [
            b"1.0".to_vec(),
            id,
            status.into(),
            Vec::new(),
            user_id.into(),
            Vec::new(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_three_numbers() {
        assert_eq!(
            credentials("1000:100:42"),
            Some(LocalPeer {
                uid: 1000,
                gid: 100,
                pid: 42
            })
        );
        for bad in ["", "1:2", "1:2:3:4", "a:2:3", "-1:2:3", "1:2:"] {
            assert_eq!(credentials(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_does_not_open_an_ipc_socket_nor_a_user_a_tcp_one() {
        let keys = Allowed::keys(&AllowList::default());
        let users = Allowed::users(&[]);
        assert_eq!(keys.decide(b"NULL", "localhost:0:0:1", None), Err(Refusal::BadRequest));
        assert_eq!(
            keys.decide(b"CURVE", "10.0.0.1", Some(&[0; 32])),
            Err(Refusal::UnknownKey)
        );
        assert_eq!(
            users.decide(b"CURVE", "localhost:0:0:1", Some(&[0; 32])),
            Err(Refusal::BadRequest)
        );
        assert_eq!(users.decide(b"NULL", "127.0.0.1", None), Err(Refusal::BadRequest));
        assert_eq!(
            users.decide(b"NULL", "localhost:4242:0:1", None),
            Err(Refusal::UnknownUser)
        );
        assert_eq!(users.decide(b"NULL", "localhost:0:0:1", None), Ok("0:0:1".into()));
    }
}
