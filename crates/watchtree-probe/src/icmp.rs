//! An ICMP echo as a probe, by an unprivileged datagram socket where the system allows it, else by a raw one.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use watchtree_core::message::Look;

/// Tells our echoes apart from those of other probes of this process.
static SEQUENCE: AtomicU16 = AtomicU16::new(1);
/// Echo requests per probe: one may be lost.
const REQUESTS: u32 = 2;
/// What an echo carries, so that another program's echo with the same numbers is not taken for ours.
const PAYLOAD: &[u8; 16] = b"watchtree-look-1";

/// Sends echo requests over the time and waits for the first reply.
pub(crate) async fn probe(ip: IpAddr, within: Duration) -> Look {
    let echo = match Echo::open(ip) {
        Ok(echo) => echo,
        Err(Errno::ACCESS | Errno::PERM) => {
            let cure = "needs CAP_NET_RAW or net.ipv4.ping_group_range";
            return Look::NotPossible(format!("icmp {ip}: no rights ({cure})"));
        }
        Err(errno) => return Look::NotPossible(format!("icmp {ip}: {errno}")),
    };
    for _ in 0..REQUESTS {
        match tokio::time::timeout(within / REQUESTS, echo.exchange()).await {
            Ok(Ok(())) => return Look::Answered(format!("icmp echo from {ip}")),
            // No neighbour answered, or a router said so: it was asked, and there was no answer.
            Ok(Err(Errno::HOSTUNREACH | Errno::HOSTDOWN)) => {
                return Look::Silent(format!("icmp {ip}: host unreachable"));
            }
            Ok(Err(errno)) => return Look::NotPossible(format!("icmp {ip}: {errno}")),
            Err(_) => {}
        }
    }
    Look::Silent(format!("icmp no echo from {ip} within {} ms", within.as_millis()))
}

/// A socket connected to one address: the kernel hands over only what comes from there.
struct Echo {
    socket: UdpSocket,
    v4: bool,
    /// On a raw socket the id is ours; on a datagram socket the kernel sets it.
    id: u16,
    sequence: u16,
}

impl Echo {
    fn open(ip: IpAddr) -> Result<Self, Errno> {
        let v4 = ip.is_ipv4();
        let (family, protocol) = if v4 {
            (AddressFamily::INET, ipproto::ICMP)
        } else {
            (AddressFamily::INET6, ipproto::ICMPV6)
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = match socket_with(family, SocketType::DGRAM, flags, Some(protocol)) {
            Err(Errno::ACCESS | Errno::PERM) => socket_with(family, SocketType::RAW, flags, Some(protocol))?,
            result => result?,
        };
        connect(&socket, &SocketAddr::new(ip, 0))?;
        // To tokio every connected socket that moves packets is a "UDP socket"; nothing of UDP is used.
        let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket)).map_err(errno_of)?;
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let id = (std::process::id() & 0xffff) as u16;
        Ok(Self {
            socket,
            v4,
            id,
            sequence,
        })
    }

    /// Sends one request and waits for its reply.
    async fn exchange(&self) -> Result<(), Errno> {
        self.socket.send(&self.request()).await.map_err(errno_of)?;
        let mut buffer = [0; 512];
        loop {
            let read = self.socket.recv(&mut buffer).await.map_err(errno_of)?;
            // Else somebody else's packet: a raw socket sees them all.
            if self.is_reply(&buffer[..read]) {
                return Ok(());
            }
        }
    }

    fn request(&self) -> Vec<u8> {
        let mut packet = vec![if self.v4 { 8 } else { 128 }, 0, 0, 0];
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(PAYLOAD);
        if self.v4 {
            // For ICMPv6 the kernel makes the checksum.
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    fn is_reply(&self, packet: &[u8]) -> bool {
        // A raw IPv4 socket gives the IP header too; a datagram socket and IPv6 do not.
        let body = match packet.first() {
            Some(first) if self.v4 && first >> 4 == 4 => packet.get(usize::from(first & 15) * 4..).unwrap_or(&[]),
            _ => packet,
        };
        let kind = if self.v4 { 0 } else { 129 };
        body.first() == Some(&kind)
            && body.get(6..8) == Some(&self.sequence.to_be_bytes())
            && body.get(8..8 + PAYLOAD.len()) == Some(PAYLOAD)
    }
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn checksum(packet: &[u8]) -> u16 {
    let mut sum: u32 = packet
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while 0xffff < sum {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_packet_with_its_checksum_is_zero() {
        let mut packet = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
        packet.extend(PAYLOAD);
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(checksum(&packet), 0);
    }
}
