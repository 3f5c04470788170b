//! Looks from outside: does a machine's kernel answer?
//!
//! A kernel answers if a TCP connect is accepted *or refused*, or if it echoes ICMP. Each look has one deadline. A look
//! that could not be made (no rights, no address, no route) is `NotPossible` and never counts as silence.
//! Judges nothing: what a look means is decided in the core.

mod icmp;
mod tcp;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;
use watchtree_core::message::Look;

/// Most addresses of one look; more are not asked.
pub const ADDRESSES_MAX: usize = 8;
/// Most resolved addresses per name.
const RESOLVED_MAX: usize = 4;

/// Asks all of `addresses` at once, by TCP where one has a port and by ICMP, and tells the best of it: answered, then
/// silent, then not possible. Ends with the first answer, else at `within` at the latest.
///
/// An address is `HOST:PORT`, `IP` or `[IPv6]:PORT`.
pub async fn look(addresses: &[String], within: Duration) -> Look {
    if addresses.is_empty() {
        return Look::NotPossible("no address is known".into());
    }
    let mut looks = JoinSet::new();
    for address in addresses.iter().take(ADDRESSES_MAX) {
        looks.spawn(look_at(address.clone(), within));
    }
    best(looks).await
}

async fn look_at(address: String, within: Duration) -> Look {
    let began = tokio::time::Instant::now();
    let targets = match tokio::time::timeout(within, resolve(&address)).await {
        Ok(Ok(targets)) => targets,
        Ok(Err(why)) => return Look::NotPossible(format!("{address}: {why}")),
        Err(_) => return Look::NotPossible(format!("{address}: its name was not resolved in time")),
    };
    let left = within.saturating_sub(began.elapsed());
    let mut looks = JoinSet::new();
    for (ip, port) in targets {
        if let Some(port) = port {
            looks.spawn(tcp::look(SocketAddr::new(ip, port), left));
        }
        looks.spawn(icmp::look(ip, left));
    }
    best(looks).await
}

async fn resolve(address: &str) -> Result<Vec<(IpAddr, Option<u16>)>, String> {
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Ok(vec![(ip, None)]);
    }
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return Ok(vec![(socket.ip(), Some(socket.port()))]);
    }
    let resolved = tokio::net::lookup_host(address)
        .await
        .map_err(|error| error.to_string())?;
    let targets: Vec<_> = resolved
        .take(RESOLVED_MAX)
        .map(|socket| (socket.ip(), Some(socket.port())))
        .collect();
    if targets.is_empty() {
        Err("its name has no address".to_string())
    } else {
        Ok(targets)
    }
}

/// The best of several looks; the words of those of the same rank are joined.
async fn best(mut looks: JoinSet<Look>) -> Look {
    let mut silent = Vec::new();
    let mut not_possible = Vec::new();
    while let Some(look) = looks.join_next().await {
        match look {
            Ok(Look::Answered(how)) => return Look::Answered(how),
            Ok(Look::Silent(how)) => silent.push(how),
            Ok(Look::NotPossible(why)) => not_possible.push(why),
            Ok(Look::StillTrying) => {}
            Err(error) => not_possible.push(format!("the look itself failed: {error}")),
        }
    }
    // In the order of their words, not of their ends: the same look reads the same each time.
    silent.sort();
    not_possible.sort();
    if silent.is_empty() {
        Look::NotPossible(not_possible.join("; "))
    } else {
        Look::Silent(silent.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const WITHIN: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn a_listening_port_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let tcp = tcp::look(address.parse().expect("an address"), WITHIN).await;
        assert_eq!(tcp, Look::Answered(format!("tcp accepted by {address}")));
        assert!(matches!(look(&[address], WITHIN).await, Look::Answered(_)));
    }

    #[tokio::test]
    async fn a_closed_port_answers_too() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        assert_eq!(
            tcp::look(address, WITHIN).await,
            Look::Answered(format!("tcp refused by {address}"))
        );
    }

    #[tokio::test]
    async fn a_full_backlog_is_silent_within_the_deadline() {
        // The kernel drops connects to a listener whose queue is full: a silence that needs no network.
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        let socket = socket.expect("a socket");
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
        rustix::net::listen(&socket, 0).expect("listening");
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr().expect("an address");
        let mut filling = Vec::new();
        let mut silent = None;
        for _ in 0..8 {
            match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
                Ok(stream) => filling.push(stream),
                Err(_) => {
                    let began = Instant::now();
                    silent = Some((tcp::look(address, WITHIN).await, began.elapsed()));
                    break;
                }
            }
        }
        let (look, took) = silent.expect("the queue of a listener is bounded");
        assert_eq!(
            look,
            Look::Silent(format!("tcp no answer from {address} within 400 ms"))
        );
        assert!(
            (WITHIN..WITHIN + Duration::from_millis(300)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test]
    async fn icmp_answers_or_says_that_it_may_not_be_asked() {
        match icmp::look([127, 0, 0, 1].into(), WITHIN).await {
            Look::Answered(how) => assert_eq!(how, "icmp echo from 127.0.0.1"),
            Look::NotPossible(why) => assert!(why.contains("no rights"), "{why}"),
            other => panic!("loopback is not silent: {other:?}"),
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_no_silence() {
        assert_eq!(look(&[], WITHIN).await, Look::NotPossible("no address is known".into()));
        let nonsense = look(&["no such name:1".into()], WITHIN).await;
        assert!(matches!(nonsense, Look::NotPossible(_)), "{nonsense:?}");
        let no_port = look(&["localhost".into()], WITHIN).await;
        assert!(matches!(no_port, Look::NotPossible(_)), "{no_port:?}");
    }

    #[tokio::test]
    async fn the_best_of_several_counts() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let good = listener.local_addr().expect("an address").to_string();
        let answer = look(&["no such name:1".into(), good], WITHIN).await;
        assert!(matches!(answer, Look::Answered(_)), "{answer:?}");
    }
}
