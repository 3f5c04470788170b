//! What only a person can mend: each daemon says it in one line with place and cure, and ends with the documented code.
//!
//! Rights are tried as an unprivileged user, so this needs root and `setpriv`; skipped without root only where `CI` is
//! not set.

use anyhow::{Context, Result, ensure};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use watchtree_e2e::programs::{make_keys, program};

/// `nobody`.
const STRANGER: u32 = 65534;
/// Each of these ends long before; one that does not is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A folder with keys and configurations.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn make() -> Result<Self> {
        let place = Self {
            folder: tempfile::Builder::new().prefix("wt-bad-").tempdir()?,
        };
        // The stranger shall fail at what is tested, not on the way to it.
        std::fs::set_permissions(place.folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let keys = [("curve", "manager"), ("curve", "h1"), ("order", "order")];
        make_keys(place.folder.path(), &keys)?;
        for name in ["allowed", "order-keys"] {
            std::fs::create_dir(place.file(name))?;
        }
        Ok(place)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let at = self.folder.path().display().to_string();
        Ok(std::fs::write(self.file(name), text.replace("AT/", &format!("{at}/")))?)
    }

    /// What it takes for the stranger to run daemons here, but for what a test then takes away.
    fn belongs_to_stranger(&self) -> Result<()> {
        for entry in std::fs::read_dir(self.folder.path())? {
            chown(entry?.path(), Some(STRANGER), Some(STRANGER))?;
        }
        Ok(chown(self.folder.path(), Some(STRANGER), Some(STRANGER))?)
    }

    /// Runs a daemon to its end; `as_stranger` = without any rights.
    fn run(&self, daemon: &str, config: &str, as_stranger: bool) -> Result<Output> {
        let mut command = if as_stranger {
            let mut command = Command::new("setpriv");
            let stranger = STRANGER.to_string();
            command.args(["--reuid", &stranger, "--regid", &stranger, "--clear-groups"]);
            command.arg(self.readable(daemon)?);
            command
        } else {
            Command::new(program(daemon)?)
        };
        command.args(["run", "--config"]).arg(self.file(config));
        Self::finish(&mut command)
    }

    /// Runs a command to its end.
    fn finish(command: &mut Command) -> Result<Output> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let began = Instant::now();
        while child.try_wait()?.is_none() && began.elapsed() < ENDS_WITHIN {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Of one that has ended this changes nothing.
        let _ = child.kill();
        Ok(child.wait_with_output()?)
    }

    /// The build folder may be closed to strangers: a copy they can run.
    fn readable(&self, daemon: &str) -> Result<PathBuf> {
        let copy = self.file(daemon);
        if !copy.exists() {
            std::fs::copy(program(daemon)?, &copy)?;
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(copy)
    }
}

/// One line at the end, `PROGRAM: WORDS`, that holds all of `words`, and the code.
fn judge(daemon: &str, output: &Output, code: i32, words: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said
        .lines()
        .next_back()
        .with_context(|| format!("{daemon} said nothing: {:?}", output.status))?;
    println!("{daemon} {code}: {line}");
    ensure!(
        output.status.code() == Some(code),
        "{daemon}: {:?}: {said}",
        output.status
    );
    ensure!(line.starts_with(&format!("{daemon}: ")), "{said}");
    for word in words {
        ensure!(line.contains(word), "no {word:?} in: {said}");
    }
    let own = |text: &&str| text.starts_with(&format!("{daemon}: "));
    ensure!(said.lines().filter(own).count() == 1, "more than one line: {said}");
    Ok(())
}

const MANAGER: &str = "listen = [\"127.0.0.1:7499\"]\nstate_dir = \"AT/state\"\nrun_dir = \"AT/run\"\n[keys]\nkey = \"AT/manager.key\"\n\
     order_key = \"AT/order.key\"\nallowed_dir = \"AT/allowed\"\n";
const HOST: &str = "name = \"h1\"\nstate_dir = \"AT/state\"\nrun_dir = \"AT/run\"\n[parent]\nconnect = \"127.0.0.1:9\"\n\
     server_key = \"AT/manager.pub\"\n[keys]\nkey = \"AT/h1.key\"\norder_keys_dir = \"AT/order-keys\"\n\
     [[engine]]\nname = \"docker\"\nsocket = \"AT/engine.sock\"\n";

/// True where rights cannot be tried and need not.
fn skipped() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    let skip = !root && std::env::var_os("CI").is_none();
    if skip {
        eprintln!("skipped: another user's rights need root");
    }
    skip
}

#[test]
fn no_rights_on_the_engines_socket() -> Result<()> {
    if skipped() {
        return Ok(());
    }
    let place = Place::make()?;
    place.write("host.toml", HOST)?;
    place.belongs_to_stranger()?;
    let socket = place.file("engine.sock");
    let _engine = UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660))?;
    let output = place.run("container-watchdog", "host.toml", true)?;
    judge("container-watchdog", &output, 6, &["engine.sock", "group"])
}

#[test]
fn no_rights_on_the_configuration_the_key_and_the_folders() -> Result<()> {
    if skipped() {
        return Ok(());
    }
    let place = Place::make()?;
    place.write("host.toml", HOST)?;
    place.write("manager.toml", MANAGER)?;
    let daemons = [
        ("manager-watchdog", "manager.toml", "manager.key"),
        ("host-watchdog", "host.toml", "h1.key"),
    ];
    for (daemon, config, key) in daemons {
        // The keys are root's, mode 0600.
        let output = place.run(daemon, config, true)?;
        judge(daemon, &output, 6, &[key, "run as root"])?;
        std::fs::set_permissions(place.file(config), std::fs::Permissions::from_mode(0o600))?;
        let output = place.run(daemon, config, true)?;
        judge(daemon, &output, 6, &[config, "run as root"])?;
    }
    place.belongs_to_stranger()?;
    for (daemon, config, _) in daemons {
        chown(place.folder.path(), Some(0), Some(0))?;
        let output = place.run(daemon, config, true)?;
        judge(daemon, &output, 6, &["/run", "; "])?;
    }
    Ok(())
}

#[test]
fn a_key_that_others_can_read_is_bad_input() -> Result<()> {
    let place = Place::make()?;
    place.write("host.toml", HOST)?;
    place.write("manager.toml", MANAGER)?;
    for (daemon, config, key) in [
        ("manager-watchdog", "manager.toml", "manager.key"),
        ("host-watchdog", "host.toml", "h1.key"),
    ] {
        std::fs::set_permissions(place.file(key), std::fs::Permissions::from_mode(0o644))?;
        let output = place.run(daemon, config, false)?;
        judge(daemon, &output, 2, &[key, "0644", "chmod 600"])?;
        std::fs::write(place.file(key), "nonsense\n")?;
        std::fs::set_permissions(place.file(key), std::fs::Permissions::from_mode(0o600))?;
        let output = place.run(daemon, config, false)?;
        judge(daemon, &output, 2, &[key])?;
    }
    Ok(())
}

#[test]
fn a_port_in_use_is_taken() -> Result<()> {
    let place = Place::make()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?;
    let used = port.local_addr()?.to_string();
    place.write("manager.toml", &MANAGER.replace("127.0.0.1:7499", &used))?;
    let output = place.run("manager-watchdog", "manager.toml", false)?;
    judge("manager-watchdog", &output, 8, &[&used])?;
    place.write("manager.toml", &format!("{MANAGER}[http]\nlisten = \"{used}\"\n"))?;
    let output = place.run("manager-watchdog", "manager.toml", false)?;
    judge("manager-watchdog", &output, 8, &[&used])
}

#[test]
fn a_wrong_key_in_a_configuration_is_named_with_its_place() -> Result<()> {
    let place = Place::make()?;
    place.write("host.toml", &format!("{HOST}heall = \"all\"\n"))?;
    place.write("manager.toml", &format!("lissten = []\n{MANAGER}"))?;
    let line = HOST.lines().count() + 1;
    for (daemon, config, words) in [
        (
            "manager-watchdog",
            "manager.toml",
            ["manager.toml:1:", "`lissten`", "`listen`"],
        ),
        (
            "host-watchdog",
            "host.toml",
            [&*format!("host.toml:{line}:"), "`heall`", "`heal`"],
        ),
        (
            "container-watchdog",
            "host.toml",
            [&*format!("host.toml:{line}:"), "`heall`", "`heal`"],
        ),
    ] {
        let output = place.run(daemon, config, false)?;
        judge(daemon, &output, 2, &words)?;
        let output = Command::new(program(daemon)?)
            .arg("check-config")
            .arg(place.file(config))
            .output()?;
        judge(daemon, &output, 2, &words)?;
    }
    ensure!(!Path::new(&place.file("state")).exists(), "nothing was touched");
    Ok(())
}

#[test]
fn a_pipe_and_a_device_are_no_configuration() -> Result<()> {
    let place = Place::make()?;
    let pipe = place.file("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status()?;
    ensure!(made.success(), "{made:?}");
    // Nobody ever writes into the pipe: who opens it to look waits for ever.
    for file in [&pipe, Path::new("/dev/zero")] {
        let words = [&*file.display().to_string(), "no regular file"];
        for daemon in ["manager-watchdog", "host-watchdog", "container-watchdog"] {
            let output = Place::finish(Command::new(program(daemon)?).arg("check-config").arg(file))?;
            judge(daemon, &output, 2, &words)?;
        }
        let output = Place::finish(Command::new(program("watchtree")?).args(["config", "check"]).arg(file))?;
        judge("watchtree", &output, 2, &words)?;
    }
    Ok(())
}

#[test]
fn config_check_answers_in_json() -> Result<()> {
    let place = Place::make()?;
    place.write("good", MANAGER)?;
    place.write("bad", "name = \"h1\"\nnname = \"h1\"\n")?;
    let check = |name: &str| -> Result<(Option<i32>, serde_json::Value)> {
        let mut command = Command::new(program("watchtree")?);
        let output = Place::finish(command.args(["--json", "config", "check"]).arg(place.file(name)))?;
        Ok((output.status.code(), serde_json::from_slice(&output.stdout)?))
    };
    let (code, good) = check("good")?;
    ensure!(
        code == Some(0) && good["ok"] == true && good["kind"] == "manager",
        "{code:?} {good}"
    );
    let (code, bad) = check("bad")?;
    ensure!(
        code == Some(2) && bad["ok"] == false && bad["line"] == 2,
        "{code:?} {bad}"
    );
    ensure!(bad["what"].as_str().is_some_and(|what| what.contains("nname")), "{bad}");
    Ok(())
}
