//! Router and dealer over ipc: credentials, the path's lock and modes, a parent that comes back.

mod common;

use common::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use watchtree_link::{
    DownReason, LinkError, LinkEvent, Listen, LocalPeer, Peer, Refusal, Router, RouterConfig, Upstream,
};

fn listen(path: &Path) -> RouterConfig {
    RouterConfig::new(Listen::Ipc {
        path: path.into(),
        uids: Vec::new(),
    })
}

fn us() -> Peer {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Peer::Local(LocalPeer {
        uid,
        gid,
        pid: std::process::id(),
    })
}

#[tokio::test]
async fn the_peer_is_the_process_and_the_path_is_guarded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/host-children.sock");
    let mut parent = router(listen(&path));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
    let mut child = dealer(Upstream::Ipc { path: path.clone() });
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "hello");
    assert_eq!(parent.frame().await.0, us());
    parent.send(&us(), "welcome");
    assert_eq!(child.frame().await.1[2], b"welcome");
    drop(child);
    parent.until_gone(us()).await;
    assert!(parent.stop(Duration::ZERO).await.1);
    // Free again, and a stale file is no obstacle.
    drop(std::os::unix::net::UnixListener::bind(&path));
    assert!(router(listen(&path)).stop(Duration::ZERO).await.1);
}

#[tokio::test]
async fn a_second_bind_is_refused_and_takes_nothing_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let mut parent = router(listen(&path));
    let error = Router::start(listen(&path), clock()).err().unwrap();
    assert!(matches!(error, LinkError::Taken { .. }), "{error}");
    assert_eq!(error.exit_code(), 8);
    let mut child = dealer(Upstream::Ipc { path });
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "hello");
    assert_eq!(parent.frame().await.0, us());
}

#[tokio::test]
async fn bad_paths_are_named_with_their_cure() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path, expected: &str| {
        let error = Router::start(listen(path), clock()).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.exit_code(), 2);
    };
    refused(Path::new("relative.sock"), "absolute");
    refused(&dir.path().join("x".repeat(108)), "107 bytes");
    let file = dir.path().join("precious");
    fs::write(&file, "data").unwrap();
    refused(&file, "no socket");
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    refused(&open.join("a.sock"), "chmod o-w");
}

#[tokio::test]
async fn a_parent_that_was_away_for_long_is_looked_for_as_often_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let parent = router(listen(&path));
    let mut child = dealer(Upstream::Ipc { path: path.clone() });
    child.until_event(LinkEvent::Up).await;
    let begin = Instant::now();
    assert!(parent.stop(Duration::ZERO).await.1);
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Disconnected,
        })
        .await;
    // The outage itself. A wait that grows comes to a few attempts in the time that 40 may take here.
    let handle = child.handle.clone();
    eventually("an attempt every 50 to 100 ms", || handle.counters().reconnects >= 40).await;
    let attempts = handle.counters().reconnects;
    let most = begin.elapsed().as_millis() / 50 + 2;
    assert!(u128::from(attempts) <= most, "{attempts} attempts and not {most}");
    let mut parent = router(listen(&path));
    child.until_event(LinkEvent::Up).await;
    child.send(&Peer::Parent, "again");
    assert_eq!(parent.frame().await.0, us());
}

/// Where the child of the next test finds the socket.
const SOCKET: &str = "WATCHTREE_LINK_TEST_SOCKET";
const NOBODY: u32 = 65_534;

/// Not a test of its own: the other process of the next one, as another user.
#[tokio::test]
async fn as_another_user() {
    let Some(path) = std::env::var_os(SOCKET) else { return };
    let mut child = dealer(Upstream::Ipc { path: path.into() });
    child
        .until_event(LinkEvent::Down {
            why: DownReason::Refused,
        })
        .await;
    eventually("it tries again with a new socket", || {
        child.handle.counters().handshakes_failed >= 2
    })
    .await;
    assert!(!child.handle.is_up());
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_modes_let_it_in() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI is set, and this is not root");
        eprintln!("skipped: only root can become another user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let mut parent = router(listen(&path));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let mut other = std::process::Command::new("/proc/self/exe");
    other.args(["--exact", "as_another_user"]).env(SOCKET, &path);
    let mut other = std::os::unix::process::CommandExt::uid(&mut other, NOBODY)
        .spawn()
        .unwrap();
    let address = parent
        .until("a refusal", |event| match event {
            LinkEvent::Refused {
                why: Refusal::UnknownUser,
                address,
                ..
            } => Some(address),
            _ => None,
        })
        .await;
    assert!(
        address.contains(&format!(":{NOBODY}:")) && address.ends_with(&other.id().to_string()),
        "{address}"
    );
    let status = tokio::task::spawn_blocking(move || other.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(parent.handle.counters().frames_in, 0);
}
