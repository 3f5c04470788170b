//! Sockets in the network namespaces of other processes.
//!
//! Contract: the thread that asks enters a namespace, makes one socket, and is back before it does anything else; no other thread of
//! this process ever leaves its network. The namespace is that of the very process that is held, never of another one that got its
//! number. Nothing is connected or sent here. Does not know what the socket is for.

use crate::process::Process;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};

/// Why there is no socket.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoSocket {
    /// The process has ended.
    #[error("its process has ended")]
    Gone,
    /// This process may not enter, or this kernel cannot (before 5.8).
    #[error("the network of a container cannot be entered from here: {0}")]
    CannotEnter(String),
    /// Anything else: too many files, …
    #[error("no socket in its network: {0}")]
    Other(String),
    /// The thread did not come back into its own network: it must end.
    #[error("this thread is lost in the network of another process: {0}")]
    Lost(String),
}

/// The way of one thread into other networks and back; it stays on that thread.
#[derive(Debug)]
pub struct NetworkEntry {
    own: File,
    lost: Cell<bool>,
    on_its_thread: PhantomData<*const ()>,
}

impl NetworkEntry {
    /// Of the thread that calls this.
    ///
    /// # Errors
    /// The kernel's: no `/proc`.
    pub fn of_this_thread() -> io::Result<Self> {
        Ok(Self {
            own: File::open("/proc/thread-self/ns/net")?,
            lost: Cell::new(false),
            on_its_thread: PhantomData,
        })
    }

    /// A new TCP socket, not connected and not blocking, in the network of that process.
    ///
    /// # Errors
    /// [`NoSocket`]; after a `Lost` there is nothing but that.
    pub fn tcp_socket(&self, process: &Process, is_ipv6: bool) -> Result<TcpStream, NoSocket> {
        if self.is_lost() {
            return Err(NoSocket::Lost("as before".to_owned()));
        }
        enter(process)?;
        let made = socket(if is_ipv6 {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        });
        match move_into_link_name_space(self.own.as_fd(), Some(LinkNameSpaceType::Network)) {
            Ok(()) => made.map(TcpStream::from),
            Err(error) => {
                self.lost.set(true);
                Err(NoSocket::Lost(error.to_string()))
            }
        }
    }

    /// Whatever this thread did from here on would be done in the network of another process.
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }
}

fn enter(process: &Process) -> Result<(), NoSocket> {
    match move_into_thread_name_spaces(process.fd(), ThreadNameSpaceType::NETWORK) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::SRCH) => Err(NoSocket::Gone),
        Err(error @ (rustix::io::Errno::PERM | rustix::io::Errno::ACCESS)) => {
            Err(NoSocket::CannotEnter(format!("{error} (it needs CAP_SYS_ADMIN)")))
        }
        Err(error) => Err(NoSocket::CannotEnter(error.to_string())),
    }
}

fn socket(family: AddressFamily) -> Result<OwnedFd, NoSocket> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let made = socket_with(family, SocketType::STREAM, flags, None);
    made.map_err(|error| NoSocket::Other(error.to_string()))
}

#[cfg(test)]
mod tests {
    //! A socket of another network is not ours, and ours stays ours.
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use tokio::net::TcpSocket;

    /// A process in an empty network of its own; `None` where this test may not make one.
    fn away() -> Option<std::process::Child> {
        let mut command = std::process::Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo in; exec sleep 60"]);
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().ok()?;
        let mut said = [0; 3];
        let out = child.stdout.as_mut()?;
        match io::Read::read_exact(out, &mut said) {
            Ok(()) => Some(child),
            Err(_) => {
                let _ = child.wait();
                None
            }
        }
    }

    async fn connects(entry: &NetworkEntry, process: &Process, port: u16) -> io::Result<()> {
        let stream = entry.tcp_socket(process, false).map_err(io::Error::other)?;
        let socket = TcpSocket::from_std_stream(stream);
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.map(drop)
    }

    #[tokio::test]
    async fn each_socket_is_in_the_network_of_its_process() {
        let entry = NetworkEntry::of_this_thread().expect("its own network");
        let Some(mut child) = away() else {
            eprintln!("skipped: no right to make a network namespace");
            return;
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let held = Process::open(child.id()).expect("it runs");
        let ours = Process::open(std::process::id()).expect("this runs");
        // Its loopback is down.
        for _ in 0..3 {
            let error = connects(&entry, &held, port).await.expect_err("nothing is there");
            assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable, "{error}");
            connects(&entry, &ours, port).await.expect("our own network");
        }
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        let gone = entry.tcp_socket(&held, false).expect_err("it is gone");
        assert_eq!(gone, NoSocket::Gone);
        connects(&entry, &ours, port).await.expect("our own network, as before");
    }
}
