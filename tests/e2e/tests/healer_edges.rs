//! What a person must mend, and what only looks like it: no rights, bad input, another healer, a full disk.

use anyhow::{Result, ensure};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watchtree_e2e::healer::Healer;
use watchtree_e2e::real_engine::{Victim, there_is_one};

#[test]
fn no_rights_on_the_socket_is_one_line_and_code_6() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let socket = folder.path().join("docker.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o600))?;
    let healer = Healer::prepare("", &socket, "")?;
    // As somebody who has no rights: root has all.
    std::fs::set_permissions(healer.folder(), PermissionsExt::from_mode(0o777))?;
    let program = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .map(|folder| folder.join("container-watchdog"));
    let program = program
        .filter(|program| program.is_file())
        .ok_or_else(|| anyhow::anyhow!("run cargo build first"))?;
    let copy = folder.path().join("container-watchdog");
    std::fs::copy(program, &copy)?;
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(copy);
    command
        .args(["run", "--engine", "docker", "--config"])
        .arg(healer.folder().join("host.toml"));
    let output = command.stdin(Stdio::null()).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    if words.contains("setpriv:") {
        ensure!(
            std::env::var_os("CI").is_none(),
            "CI is set, and nobody can become another user here: {words}"
        );
        eprintln!("skipped: cannot become another user here: {words}");
        return Ok(());
    }
    ensure!(output.status.code() == Some(6), "{}: {words}", output.status);
    let line = words.lines().last().unwrap_or_default();
    ensure!(
        line.contains("no rights on") && line.contains("docker.sock") && line.contains("group"),
        "{words}"
    );
    drop(listener);
    Ok(())
}

#[test]
fn bad_input_is_one_line_and_code_2() -> Result<()> {
    let healer = Healer::prepare("", "/var/run/docker.sock".as_ref(), "[heal]\nbudgett = 3\n")?;
    let program = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .map(|folder| folder.join("container-watchdog"));
    let program = program.ok_or_else(|| anyhow::anyhow!("run cargo build first"))?;
    let config = healer.folder().join("host.toml");
    for args in [&["run", "--config"][..], &["check-config"][..]] {
        let output = Command::new(&program).args(args).arg(&config).output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(2) && words.lines().count() == 1,
            "{}: {words}",
            output.status
        );
        ensure!(words.contains("host.toml:") && words.contains("budget"), "{words}");
    }
    let config = Healer::prepare("", Path::new("/var/run/docker.sock"), "")?;
    let mut command = Command::new(&program);
    let output = command
        .args(["run", "--engine", "podman", "--config"])
        .arg(config.folder().join("host.toml"))
        .output()?;
    ensure!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("it has: docker"));
    Ok(())
}

#[test]
fn a_second_healer_of_one_engine_goes_with_code_8_and_an_observer_may_stay() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=second";
    let _first = Healer::start(label, "")?;
    let mut second = Healer::prepare(label, "/var/run/docker.sock".as_ref(), "")?;
    second.spawn(&[])?;
    let status = second.await_end(Duration::from_secs(5))?;
    let log = second.log();
    ensure!(status.code() == Some(8), "{status}\n{log}");
    ensure!(
        log.lines()
            .last()
            .is_some_and(|line| line.contains("another healer acts on this engine")),
        "{log}"
    );
    let mut observer = Healer::prepare(label, "/var/run/docker.sock".as_ref(), "heal = \"observe\"\n")?;
    observer.run(&[])?;
    let victim = Victim::run(
        "second",
        &["--label", "watchtree.enable=true", "--label", label, "--no-healthcheck"],
    )?;
    let life = victim.life()?;
    victim.crash();
    victim.await_other_life(&life, Duration::from_secs(2))?;
    observer.await_state(&format!("h1/docker/{}", victim.name), "ok", Duration::from_secs(20))?;
    Ok(())
}

/// A real full disk: healing goes on, it is said in one line, and it recovers by itself.
#[test]
fn a_full_disk_ends_nothing() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=full";
    let victim = Victim::run(
        "full",
        &["--label", "watchtree.enable=true", "--label", label, "--no-healthcheck"],
    )?;
    let mut healer = Healer::prepare(label, "/var/run/docker.sock".as_ref(), "[heal]\nclean_after = \"1s\"\n")?;
    let state = healer.folder().join("state");
    std::fs::create_dir_all(&state)?;
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=128k", "wt-full"])
        .arg(&state)
        .stderr(Stdio::null());
    if !mount.status()?.success() {
        ensure!(
            std::env::var_os("CI").is_none(),
            "CI is set, and there are no rights to mount a tmpfs"
        );
        eprintln!("skipped: no rights to mount a tmpfs here");
        return Ok(());
    }
    let unmount = Unmount(state.clone());
    healer.run(&[])?;
    let filler = state.join("filler");
    ensure!(
        std::fs::write(&filler, vec![0; 131_072]).is_err(),
        "the disk is full now"
    );
    for _ in 0..3 {
        let life = victim.life()?;
        victim.crash();
        victim
            .await_other_life(&life, Duration::from_secs(3))
            .map_err(|error| error.context(healer.log()))?;
        std::thread::sleep(Duration::from_millis(1200));
    }
    let log = healer.log();
    ensure!(
        log.lines()
            .any(|line| line.contains("DEGRADED") && line.contains("No space left")),
        "{log}"
    );
    std::fs::remove_file(&filler)?;
    let began = Instant::now();
    while !healer
        .log()
        .lines()
        .any(|line| line.contains("recovered") && line.contains("journal"))
    {
        ensure!(
            began.elapsed() < Duration::from_secs(10),
            "it recovers by itself\n{}",
            healer.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    healer.kill()?;
    drop(unmount);
    Ok(())
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        // Lazily: the daemon may still live when a test fails half-way.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
