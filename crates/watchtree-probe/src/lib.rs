//! Probes from outside: does a machine's kernel answer? And, in [`service`]: does a service?
//!
//! Contract: a kernel answers if a TCP connect is accepted *or refused*, or if it echoes ICMP. Each probe has one deadline. A
//! probe that could not be made (no rights, no address, no route) is `NotPossible` and never counts as silence. Does not know what
//! an answer means for the host: the core decides.

mod icmp;
pub mod service;
mod tcp;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;
use watchtree_core::message::Look;

/// Most addresses of one probe; more are not asked.
pub const ADDRESSES_MAX: usize = 8;
/// Most resolved addresses per name.
const RESOLVED_MAX: usize = 4;

/// Asks all of `addresses` at once, by TCP where one has a port and by ICMP, and returns the best of it: answered, then
/// silent (in part, if not every way could be tried), then not possible. Ends with the first answer, else at `within` at the latest.
///
/// An address is `HOST:PORT`, `IP` or `[IPv6]:PORT`.
pub async fn probe(addresses: &[String], within: Duration) -> Look {
    if addresses.is_empty() {
        return Look::NotPossible("no address is known".into());
    }
    let mut probes = JoinSet::new();
    for address in addresses.iter().take(ADDRESSES_MAX) {
        probes.spawn(probe_at(address.clone(), within));
    }
    all(probes).await.conclude()
}

/// What several ways of asking found.
#[derive(Default)]
struct Evidence {
    answered: Option<String>,
    silent: Vec<String>,
    not_asked: Vec<String>,
}

impl Evidence {
    fn not_asked(why: String) -> Self {
        Self {
            not_asked: vec![why],
            ..Self::default()
        }
    }

    /// In the order of their words, not of their ends: the same probe reads the same each time.
    fn conclude(mut self) -> Look {
        self.silent.sort();
        self.not_asked.sort();
        let (silent, not_asked) = (self.silent.join("; "), self.not_asked.join("; "));
        match self.answered {
            Some(how) => Look::Answered(how),
            None if silent.is_empty() => Look::NotPossible(not_asked),
            None if not_asked.is_empty() => Look::Silent(silent),
            None => Look::SilentInPart(format!("{silent}; not asked: {not_asked}")),
        }
    }
}

impl From<Look> for Evidence {
    fn from(probe: Look) -> Self {
        let mut seen = Self::default();
        match probe {
            Look::Answered(how) => seen.answered = Some(how),
            Look::Silent(how) | Look::SilentInPart(how) => seen.silent.push(how),
            Look::NotPossible(why) => seen.not_asked.push(why),
            Look::StillTrying => {}
        }
        seen
    }
}

async fn probe_at(address: String, within: Duration) -> Evidence {
    let began = tokio::time::Instant::now();
    let targets = match tokio::time::timeout(within, resolve(&address)).await {
        Ok(Ok(targets)) => targets,
        Ok(Err(why)) => return Evidence::not_asked(format!("{address}: {why}")),
        Err(_) => return Evidence::not_asked(format!("{address}: its name was not resolved in time")),
    };
    let left = within.saturating_sub(began.elapsed());
    let mut probes = JoinSet::new();
    for (ip, port) in targets {
        if let Some(port) = port {
            probes.spawn(async move { tcp::probe(SocketAddr::new(ip, port), left).await.into() });
        }
        probes.spawn(async move { icmp::probe(ip, left).await.into() });
    }
    all(probes).await
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

/// Gathers several probes; the first answer is enough.
async fn all(mut probes: JoinSet<Evidence>) -> Evidence {
    let mut all = Evidence::default();
    while let Some(probe) = probes.join_next().await {
        match probe {
            Ok(seen) if seen.answered.is_some() => return seen,
            Ok(seen) => {
                all.silent.extend(seen.silent);
                all.not_asked.extend(seen.not_asked);
            }
            Err(error) => all.not_asked.push(format!("the probe itself failed: {error}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const WITHIN: Duration = Duration::from_millis(400);
    /// Where an answer comes, also on a machine that stood still for a while.
    const SOON: Duration = Duration::from_secs(20);

    /// A port of our own that nobody listens at, yet.
    fn bound() -> (rustix::fd::OwnedFd, SocketAddr) {
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        let socket = socket.expect("a socket");
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
        let address = rustix::net::getsockname(&socket).expect("an address");
        (socket, address.try_into().expect("of the internet"))
    }

    #[tokio::test]
    async fn a_listening_port_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let tcp = tcp::probe(address.parse().expect("an address"), SOON).await;
        assert_eq!(tcp, Look::Answered(format!("tcp accepted by {address}")));
        assert!(matches!(probe(&[address], SOON).await, Look::Answered(_)));
    }

    #[tokio::test]
    async fn a_closed_port_answers_too() {
        let (_closed, address) = bound();
        assert_eq!(
            tcp::probe(address, SOON).await,
            Look::Answered(format!("tcp refused by {address}"))
        );
    }

    #[tokio::test]
    async fn a_full_backlog_is_silent_within_the_deadline() {
        // The kernel drops connects to a listener whose queue is full: a silence that needs no network.
        let (listener, address) = bound();
        rustix::net::listen(&listener, 0).expect("listening");
        let mut filling = Vec::new();
        let mut silent = None;
        for _ in 0..8 {
            match std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                Ok(stream) => filling.push(stream),
                Err(_) => {
                    let began = Instant::now();
                    silent = Some((tcp::probe(address, WITHIN).await, began.elapsed()));
                    break;
                }
            }
        }
        let (probe, took) = silent.expect("the queue of a listener is bounded");
        assert_eq!(
            probe,
            Look::Silent(format!("tcp no answer from {address} within 400 ms"))
        );
        // The kernel alone would go on trying for two minutes.
        assert!((WITHIN..SOON).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn icmp_answers_or_says_that_it_may_not_be_asked() {
        match icmp::probe([127, 0, 0, 1].into(), SOON).await {
            Look::Answered(how) => assert_eq!(how, "icmp echo from 127.0.0.1"),
            Look::NotPossible(why) => assert!(why.contains("no rights"), "{why}"),
            other => panic!("loopback is not silent: {other:?}"),
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_no_silence() {
        assert_eq!(
            probe(&[], WITHIN).await,
            Look::NotPossible("no address is known".into())
        );
        let nonsense = probe(&["no such name:1".into()], WITHIN).await;
        assert!(matches!(nonsense, Look::NotPossible(_)), "{nonsense:?}");
        let no_port = probe(&["localhost".into()], WITHIN).await;
        assert!(matches!(no_port, Look::NotPossible(_)), "{no_port:?}");
    }

    #[test]
    fn a_silence_names_what_could_not_be_asked() {
        let seen = |silent: &[&str], not_asked: &[&str]| Evidence {
            answered: None,
            silent: silent.iter().map(ToString::to_string).collect(),
            not_asked: not_asked.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(seen(&["b", "a"], &[]).conclude(), Look::Silent("a; b".into()));
        assert_eq!(
            seen(&["tcp no answer"], &["icmp: no rights"]).conclude(),
            Look::SilentInPart("tcp no answer; not asked: icmp: no rights".into())
        );
        assert_eq!(
            seen(&[], &["icmp: no rights"]).conclude(),
            Look::NotPossible("icmp: no rights".into())
        );
    }

    #[tokio::test]
    async fn one_address_that_cannot_be_asked_makes_a_silence_partial() {
        let mut probes = JoinSet::new();
        probes.spawn(async { Evidence::from(Look::Silent("tcp no answer".into())) });
        probes.spawn(probe_at("no such name:1".into(), WITHIN));
        match all(probes).await.conclude() {
            Look::SilentInPart(how) => assert!(how.starts_with("tcp no answer; not asked: no such name:1"), "{how}"),
            other => panic!("it is silent in part: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_best_of_several_counts() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let good = listener.local_addr().expect("an address").to_string();
        let answer = probe(&["no such name:1".into(), good], SOON).await;
        assert!(matches!(answer, Look::Answered(_)), "{answer:?}");
    }
}
