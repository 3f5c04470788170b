//! A TCP connect as a probe: accepted and refused are both an answer of the kernel.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use watchtree_core::message::Look;

/// Connects and closes at once; nothing is sent.
pub(crate) async fn probe(address: SocketAddr, within: Duration) -> Look {
    match tokio::time::timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Look::Answered(format!("tcp accepted by {address}")),
        Ok(Err(error)) => refused(address, &error),
        Err(_) => Look::Silent(format!("tcp no answer from {address} within {} ms", within.as_millis())),
    }
}

fn refused(address: SocketAddr, error: &Error) -> Look {
    match error.kind() {
        ErrorKind::ConnectionRefused => Look::Answered(format!("tcp refused by {address}")),
        ErrorKind::ConnectionReset => Look::Answered(format!("tcp reset by {address}")),
        // The neighbour did not answer ARP, or a router said so: it was asked, and there was no answer.
        ErrorKind::HostUnreachable | ErrorKind::TimedOut => Look::Silent(format!("tcp {address}: {error}")),
        _ => Look::NotPossible(format!("tcp {address}: {error}")),
    }
}
