//! Processes held by their pidfd, with children started as the daemons start them.

use std::io;
use std::path::Path;
use std::time::Duration;
use watchtree_os::process::{Exit, Process, Signal, find};
use watchtree_os::spawn::Spawn;

fn sleeper(seconds: &str) -> Process {
    Spawn::new(Path::new("/bin/sleep"))
        .arg(seconds)
        .start()
        .expect("sleep can be started")
}

#[test]
fn nobody_signals_init_or_a_group() {
    for pid in [0, 1, u32::MAX] {
        assert_eq!(
            Process::open(pid).map(|_| ()).map_err(|e| e.kind()),
            Err(io::ErrorKind::InvalidInput),
            "{pid}"
        );
    }
}

#[tokio::test]
async fn the_end_is_told_with_its_cause() {
    let child = sleeper("0");
    assert_eq!(child.wait().await.expect("it can be waited for"), Exit::Code(0));
    child.signal(Signal::TERM).expect("one that ended is no error");
    let child = sleeper("100");
    child.signal(Signal::KILL).expect("it can be killed");
    let end = tokio::time::timeout(Duration::from_secs(5), child.wait())
        .await
        .expect("at once");
    assert_eq!(end.expect("it can be waited for"), Exit::Signal(9));
    assert!(Process::open(child.pid()).is_err(), "it was reaped");
}

#[tokio::test]
async fn a_frozen_child_can_be_killed() {
    let child = sleeper("100");
    child.signal(Signal::STOP).expect("it can be frozen");
    child.signal(Signal::KILL).expect("it can be killed");
    assert_eq!(child.wait().await.expect("it can be waited for"), Exit::Signal(9));
}

#[tokio::test]
async fn a_lost_child_is_found_by_its_arguments() {
    let unique = format!("98765.{:09}", std::process::id());
    let child = sleeper(&unique);
    // Between fork and exec it still looks like this test.
    let args = [unique];
    let began = std::time::Instant::now();
    let mut found = Vec::new();
    while found.is_empty() && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(2)).await;
        found = find(|found| found == args).expect("/proc can be read");
    }
    assert_eq!(found.iter().map(Process::pid).collect::<Vec<_>>(), [child.pid()]);
    assert!(find(|found| found == ["1", "2"]).expect("/proc can be read").is_empty());
    found[0].signal(Signal::KILL).expect("it can be killed");
    assert_eq!(child.wait().await.expect("it can be waited for"), Exit::Signal(9));
}

#[test]
fn what_was_ended_is_gone_and_reaped() {
    let child = sleeper("100");
    child.signal(Signal::STOP).expect("it can be frozen");
    assert_eq!(child.end().expect("it can be ended"), Exit::Signal(9));
    assert!(Process::open(child.pid()).is_err(), "it was reaped");
}
