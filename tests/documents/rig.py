"""Machines for the document tests: Debian with systemd and an engine, each in a container of the local engine.

Contract: `Rig` makes a network and machines named `wt-doc-*`, runs commands in them, copies files between them, and
removes everything it made, also after a failure. `--privileged` is not needed: a capability list does it. The image is
made by debootstrap once and cached under a name that carries the hash of its recipe.
Knows nothing of Watchtree.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

PACKAGES = (
    "systemd,systemd-sysv,dbus,iproute2,iptables,procps,ca-certificates,docker.io,docker-compose"
)
ENTRY = """#!/bin/sh
# Without --privileged these are mounted read-only; systemd and the engine inside need them writable.
mount -o remount,bind,rw /proc/sys 2>/dev/null
mount -o remount,bind,rw /sys 2>/dev/null
for c in /sys/fs/cgroup /sys/fs/cgroup/*; do mountpoint -q "$c" && mount -o remount,bind,rw "$c"; done
exec "$@"
"""
MASKED = (
    "systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket "
    "systemd-logind.service getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer"
).split()
CAPABILITIES = "SYS_ADMIN NET_ADMIN SYS_PTRACE DAC_READ_SEARCH".split()


def say(text):
    print(f"[documents] {text}", flush=True)


def run(argv, check=True, within=120, stdin=None, capture=True):
    """Runs a command of this machine; returns (code, output). Raises with the output if it fails and `check`."""
    done = subprocess.run(
        argv,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.STDOUT if capture else None,
        timeout=within,
        text=True,
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout or ''}")
    return done.returncode, done.stdout or ""


def image():
    """The image of a machine, made if it is not there; its name."""
    recipe = PACKAGES + ENTRY + " ".join(MASKED) + "bookworm"
    name = f"wt-doc-machine:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if run(["docker", "image", "inspect", name], check=False)[0] == 0:
        return name
    if not shutil.which("debootstrap"):
        sys.exit("documents: debootstrap is missing; install it: apt-get install debootstrap")
    say("building the machine image by debootstrap (about a minute, once)")
    with tempfile.TemporaryDirectory(prefix="wt-doc-") as top:
        root = os.path.join(top, "root")
        run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root], within=900)
        with open(os.path.join(root, "host-entry.sh"), "w") as entry:
            entry.write(ENTRY)
        for unit in MASKED:
            os.symlink("/dev/null", os.path.join(root, "etc/systemd/system", unit))
        # Every machine makes its own at its first boot.
        open(os.path.join(root, "etc/machine-id"), "w").close()
        shutil.rmtree(os.path.join(root, "var/cache/apt"), ignore_errors=True)
        shutil.rmtree(os.path.join(root, "var/lib/apt/lists"), ignore_errors=True)
        tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        entrypoint = 'ENTRYPOINT ["/bin/sh","/host-entry.sh","/lib/systemd/systemd"]'
        subprocess.run(
            ["docker", "import", "-c", "ENV container=docker", "-c", entrypoint, "-", name],
            stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True, timeout=300,
        )
        if tar.wait() != 0:
            raise RuntimeError("tar of the machine's root failed")
    return name


class Rig:
    """Machines on one network of their own. Use as a context manager."""

    def __init__(self):
        self.tag = f"wt-doc-{os.getpid()}"
        self.machines = {}

    def __enter__(self):
        self.image = image()
        run(["docker", "network", "create", self.tag])
        return self

    def __exit__(self, *_):
        for machine in self.machines.values():
            run(["docker", "rm", "-f", "-v", machine], check=False)
            run(["docker", "volume", "rm", "-f", machine], check=False)
        run(["docker", "network", "rm", self.tag], check=False)

    def machine(self, name):
        """Boots a machine that others reach as `name`."""
        full = f"{self.tag}-{name}"
        self.machines[name] = full
        argv = ["docker", "run", "-d", "--name", full, "--hostname", name, "--network", self.tag]
        argv += ["--network-alias", name, "--stop-signal", "SIGRTMIN+3", "--security-opt", "seccomp=unconfined"]
        argv += [f"--cap-add={capability}" for capability in CAPABILITIES]
        argv += ["--device-cgroup-rule", "a *:* rwm", "-v", f"{full}:/var/lib/docker"]
        argv += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", self.image]
        run(argv)
        self.booted(name)

    def booted(self, name):
        """Waits until systemd and the engine of a machine answer."""
        self.until(f"{name} boots", 60, lambda: self.sh(name, "systemctl is-system-running", check=False)[1].strip()
                   in ("running", "degraded"))
        self.until(f"the engine on {name} answers", 60, lambda: self.sh(name, "docker info", check=False)[0] == 0)

    def sh(self, name, script, check=True, within=180):
        """Runs a shell script in a machine; returns (code, output)."""
        argv = ["docker", "exec", "-i", self.machines[name], "/bin/bash", "-euo", "pipefail", "-c", script]
        return run(argv, check=check, within=within)

    def put(self, name, source, target):
        """Copies a file of this machine into a rig machine."""
        # `docker cp` does not reach into a tmpfs, so the bytes go through the shell.
        with open(source, "rb") as file:
            subprocess.run(
                ["docker", "exec", "-i", self.machines[name], "/bin/sh", "-c", f"cat > '{target}'"],
                stdin=file, check=True, timeout=120,
            )

    def copy(self, source_machine, source, target_machine, target):
        """Copies a file between machines, as scp would."""
        got = subprocess.run(
            ["docker", "exec", self.machines[source_machine], "cat", source], stdout=subprocess.PIPE, check=True, timeout=60
        ).stdout
        if target.endswith("/"):
            target += os.path.basename(source)
        subprocess.run(
            ["docker", "exec", "-i", self.machines[target_machine], "/bin/sh", "-c", f"cat > '{target}'"],
            input=got, check=True, timeout=60,
        )

    def power_off(self, name):
        """An orderly power-off from inside; returns when the machine is off."""
        self.sh(name, "systemctl poweroff", check=False)
        self.until(f"{name} is off", 90, lambda: run(
            ["docker", "inspect", "-f", "{{.State.Running}}", self.machines[name]])[1].strip() == "false")

    def power_on(self, name):
        """Boots a machine that was off."""
        run(["docker", "start", self.machines[name]])
        self.booted(name)

    @staticmethod
    def until(what, within, holds):
        """Waits until `holds()`; returns the seconds it took. Raises after `within` seconds."""
        start = time.monotonic()
        while time.monotonic() - start < within:
            if holds():
                return time.monotonic() - start
            time.sleep(0.05)
        raise RuntimeError(f"{what}: not within {within} s")
