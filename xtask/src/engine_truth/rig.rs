//! An engine of one's own: dockerd and containerd in their own process, mount and network namespaces, beside the
//! machine's engine and unseen by it. It can be killed, ended, started, and its power cut. It knows no rows.
//!
//! The first process of the namespaces holds them and reads its input: when the recorder ends, however it does, the
//! kernel ends everything in them. `/run` of the engine is a tmpfs, so that a power cut empties it as a reboot does.

use crate::process::Process;
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the engine may take for its start: it may have to stop containers first.
const START: Duration = Duration::from_secs(60);

/// What kind of engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kind {
    pub(crate) live_restore: bool,
    /// The folder of another distribution whose programs are taken.
    pub(crate) root: Option<PathBuf>,
}

/// See the top of this file.
pub(crate) struct Rig {
    dir: PathBuf,
    kind: Kind,
    holder: Option<Child>,
    containerd: Option<Child>,
    dockerd: Option<Child>,
}

const HOLD: &str = r#"
set -e
ip link set lo up
mkdir -p "$DIR/run" "$DIR/ctl"
mount -t tmpfs tmpfs "$DIR/run"
if [ -n "$ROOT" ]; then
  mount --bind "$ROOT" "$ROOT"
  mount --rbind /sys "$ROOT/sys"; mount --rbind /dev "$ROOT/dev"; mount -t proc proc "$ROOT/proc"
  mount -t tmpfs tmpfs "$ROOT/run"
  mkdir -p "$ROOT$DIR" "$ROOT/mnt"; mount --rbind "$DIR" "$ROOT$DIR"
  cd "$ROOT"; pivot_root . mnt; cd /; umount -l /mnt
fi
exec 3<&0
( echo held >"$DIR/held"; exec cat <&3 >/dev/null ) &
wait $!
"#;

impl Rig {
    /// Makes an engine under that folder, which must have a short path, and starts it.
    pub(crate) fn up(dir: &Path, kind: Kind) -> Result<Self> {
        let dir = dir.canonicalize()?;
        let wrapper = format!(
            "#!/bin/sh\nif [ -e {0}/exec-broken ]; then for w in \"$@\"; do if [ \"$w\" = exec ]; then echo 'exec is broken' >&2; \
             exit 1; fi; done; fi\nexec runc \"$@\"\n",
            dir.display()
        );
        let runtime = dir.join("runtime.sh");
        std::fs::write(&runtime, wrapper)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&runtime, mode)?;
        let settings = format!("{{\"deprecated-key-path\": \"{}/key.json\"}}", dir.display());
        // Newer engines know no such key, and refuse what they do not know.
        std::fs::write(
            dir.join("daemon.json"),
            if kind.root.is_some() { "{}".to_owned() } else { settings },
        )?;
        let mut rig = Self {
            dir,
            kind,
            holder: None,
            containerd: None,
            dockerd: None,
        };
        rig.start()?;
        Ok(rig)
    }

    /// Makes the namespaces alone, for an engine that is none of these.
    pub(crate) fn hollow(dir: &Path, kind: Kind) -> Result<Self> {
        let mut rig = Self {
            dir: dir.canonicalize()?,
            kind,
            holder: None,
            containerd: None,
            dockerd: None,
        };
        rig.hold()?;
        Ok(rig)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    /// True unless it was killed, ended, or its power cut.
    pub(crate) fn runs(&self) -> bool {
        self.dockerd.is_some()
    }

    /// Where containers' `/ctl` lie.
    pub(crate) fn ctl(&self) -> PathBuf {
        self.dir.join("ctl")
    }

    /// Where the engine keeps its containers.
    pub(crate) fn data_root(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Makes the namespaces, which a power cut ends.
    pub(crate) fn hold(&mut self) -> Result<()> {
        let held = self.dir.join("held");
        let _ = std::fs::remove_file(&held);
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
            "--propagation",
            "private",
        ]);
        command.args(["sh", "-c", HOLD]).env("DIR", &self.dir);
        command.env("ROOT", self.kind.root.as_deref().unwrap_or(Path::new("")));
        // It complains where it is killed, which is how it ends.
        command.stdin(Stdio::piped()).stderr(self.log()?);
        self.holder = Some(command.spawn().context("cannot start `unshare`")?);
        let until = Instant::now() + Duration::from_secs(10);
        while !held.exists() {
            if until < Instant::now() {
                bail!("the namespaces of the engine are not there within 10 s");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The first process of the namespaces, seen from outside.
    pub(crate) fn init_pid(&self) -> Result<u32> {
        child_of(self.holder.as_ref().context("no namespaces are held")?.id())
    }

    /// A command inside the namespaces.
    pub(crate) fn inside(&self, words: &[&str]) -> Result<Command> {
        Ok(inside(self.init_pid()?, words))
    }

    fn log(&self) -> Result<File> {
        Ok(File::options().create(true).append(true).open(self.dir.join("log"))?)
    }

    /// Starts it inside, its words going to the log.
    pub(crate) fn spawn(&self, words: &[&str]) -> Result<Child> {
        let log = self.log()?;
        let mut command = self.inside(words)?;
        command.stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("cannot start {words:?}"))
    }

    fn start_containerd(&mut self) -> Result<()> {
        let dir = self.dir.display().to_string();
        let [root, state, address] =
            ["containerd", "run/containerd", "run/containerd.sock"].map(|it| format!("{dir}/{it}"));
        let words = ["containerd", "--root", &root, "--state", &state, "--address", &address];
        self.containerd = Some(self.spawn(&words)?);
        let until = Instant::now() + Duration::from_secs(20);
        while !self.inside(&["test", "-S", &address])?.status()?.success() {
            if until < Instant::now() {
                bail!("containerd does not listen within 20 s; see {dir}/log");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Starts what does not run, and waits until the API answers.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.holder.is_none() {
            self.hold()?;
        }
        if self.containerd.is_none() {
            self.start_containerd()?;
        }
        let dir = self.dir.display().to_string();
        let words = [
            "dockerd".to_owned(),
            format!("--config-file={dir}/daemon.json"),
            format!("--data-root={dir}/data"),
            format!("--exec-root={dir}/run/docker"),
            format!("--pidfile={dir}/run/docker.pid"),
            format!("--host=unix://{dir}/docker.sock"),
            format!("--containerd={dir}/run/containerd.sock"),
            "--storage-driver=vfs".to_owned(),
            format!("--cgroup-parent=/{}", cgroup(&self.dir)),
            format!("--add-runtime=switched={dir}/runtime.sh"),
            "--default-runtime=switched".to_owned(),
            format!("--live-restore={}", self.kind.live_restore),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.dockerd = Some(self.spawn(&words)?);
        let until = Instant::now() + START;
        let socket = self.socket();
        let answers = || crate::http::ask(&socket, "GET", "/_ping", &[], Duration::from_secs(2));
        while !answers().is_ok_and(|answer| answer.status == 200) {
            let gone = self
                .dockerd
                .as_mut()
                .is_none_or(|it| !matches!(it.try_wait(), Ok(None)));
            if gone || until < Instant::now() {
                bail!("the engine does not answer; see {dir}/log");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sends dockerd that signal and waits for its end.
    pub(crate) fn end(&mut self, signal: &str) -> Result<()> {
        let mut dockerd = self.dockerd.take().context("the engine does not run")?;
        let pid = child_of(dockerd.id())?.to_string();
        crate::sh::run(Command::new("kill").args([&format!("-{signal}"), &pid]))?;
        dockerd.wait().map(drop).context("waiting for the end of dockerd")
    }

    /// Ends every process of the namespaces at once, and what a reboot forgets.
    pub(crate) fn power_cut(&mut self) -> Result<()> {
        let init = self.init_pid()?.to_string();
        crate::sh::run(Command::new("kill").args(["-9", &init]))?;
        thaw(&self.dir);
        let children = [self.holder.take(), self.dockerd.take(), self.containerd.take()];
        for mut child in children.into_iter().flatten() {
            child.wait()?;
        }
        remove_cgroups(&self.dir);
        Ok(())
    }

    /// Sends dockerd that signal and waits for nothing: STOP and CONT freeze and thaw it.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let dockerd = self.dockerd.as_ref().context("the engine does not run")?;
        signal_inside(dockerd.id(), signal)
    }

    /// Sends containerd that signal, which leaves the containers running, and waits for its end.
    pub(crate) fn end_containerd(&mut self, signal: Signal) -> Result<()> {
        let mut containerd = self.containerd.take().context("containerd does not run")?;
        signal_inside(containerd.id(), signal)?;
        containerd.wait().map(drop).context("waiting for the end of containerd")
    }

    /// Kills containerd and starts it again after `away`.
    pub(crate) fn restart_containerd(&mut self, away: Duration) -> Result<()> {
        self.end_containerd(Signal::KILL)?;
        std::thread::sleep(away);
        self.start_containerd()
    }

    /// From now on each `exec` of the runtime fails, or none does.
    pub(crate) fn set_exec_broken(&self, broken: bool) -> Result<()> {
        let flag = self.dir.join("exec-broken");
        match broken {
            true => std::fs::write(flag, "").map_err(Into::into),
            // It mostly is not.
            false if !flag.exists() => Ok(()),
            false => std::fs::remove_file(flag).map_err(Into::into),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.holder.is_some()
            && let Err(error) = self.power_cut()
        {
            errln!("while ending the engine: {error:#}");
        }
    }
}

/// A command inside the namespaces that this process is in: the child of an `nsenter`, which ends with it.
pub(crate) fn inside(target: u32, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    let target = target.to_string();
    command
        .args(["--target", &target, "--mount", "--net", "--pid", "--"])
        .args(words);
    command.stdin(Stdio::null());
    command
}

/// Signals the child of an `nsenter`, which freezes itself with its child and has to be thawed too.
pub(crate) fn signal_inside(nsenter: u32, signal: Signal) -> Result<()> {
    Process::open(i32::try_from(child_of(nsenter)?)?)?.signal(signal)?;
    match signal {
        Signal::CONT => Process::open(i32::try_from(nsenter)?)?.signal(signal),
        _ => Ok(()),
    }
}

/// What the engine under that folder said last.
pub(crate) fn last_words(dir: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    log.lines().rev().take(10).map(str::to_owned).collect()
}

pub(crate) fn child_of(pid: u32) -> Result<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
    first.with_context(|| format!("process {pid} has no child"))
}

/// The control group of all its containers.
pub(crate) fn cgroup(dir: &Path) -> String {
    format!(
        "engine-truth-{}",
        dir.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .trim_start_matches('.')
    )
}

/// What is frozen cannot end, where control groups are of the first version.
fn thaw(dir: &Path) {
    let ours = Path::new("/sys/fs/cgroup/freezer").join(cgroup(dir));
    for child in std::fs::read_dir(&ours).into_iter().flatten().flatten() {
        // Files have no such file, and a group whose processes have ended may be gone.
        let _ = std::fs::write(child.path().join("freezer.state"), "THAWED");
    }
}

/// Control groups are the machine's; those of dead containers are empty.
fn remove_cgroups(dir: &Path) {
    let Ok(controllers) = std::fs::read_dir("/sys/fs/cgroup") else {
        return;
    };
    for controller in controllers.flatten() {
        let ours = controller.path().join(cgroup(dir));
        for child in std::fs::read_dir(&ours).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(child.path()); // its files refuse, and are no folders
        }
        let _ = std::fs::remove_dir(&ours);
    }
}
