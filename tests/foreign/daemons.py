#!/usr/bin/env python3
"""The foreign peer against the real daemons: `daemons.py PROGRAMS`, where PROGRAMS is the folder with manager-watchdog and host-watchdog.

Starts a manager with throw-away keys and runs every mode of the child on it: each must be answered by name, and the tree must hold what
was said rightly and nothing else. Then starts a host-watchdog under a foreign manager that sends orders of every kind. Needs no engine.
One line per check; exit code 1 if one failed. Takes about 40 s.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nacl.signing
import zmq
from selftest import FAILED, HERE, check, write_pair
from zmq.utils import z85

# What the tree must say of these subjects while the peer still lives after each mode; None = it is not there.
MODES = {
    "live": {"h9": "ok", "h9/docker/foreign": "ok"},
    "stolen-name": {"h1": None, "h1/docker/web": None},
    "garbage": {"h9": "ok", "h9/docker/after-garbage": "ok"},
    "oversize": {"h9": "ok"},
    "replay": {"h9": "ok", "h9/docker/replayed": "ok"},
    "order-up": {"h9": "ok"},
    "out-of-scope": {"h9": "ok", "h1": None, "h1/docker/web": None},
    "clone": {"h9": "ok", "h9/docker/original": "ok"},
    "unknown-key": {"h1": None},
}

# Under which reasons the manager must have counted what each mode did, and how often at least.
COUNTED = {
    "stolen-name": {"stolen_name": 2},
    "garbage": {"undecodable": 12},
    "oversize": {"undecodable": 1, "too_large": 1},
    "replay": {"replayed_seq": 2, "stale_epoch": 1, "bad_header": 1},
    "order-up": {"wrong_direction": 1},
    "out-of-scope": {"out_of_scope": 1},
    "clone": {"clone": 1},
    "unknown-key": {"unknown_key": 1},
}

BAD_ORDERS = "unknown-key,bad-signature,altered,undecodable,wrong-target,other-boot,expired"

# The same of a host for the orders of its manager.
ORDERS_COUNTED = {
    f"order_{reason}": 1
    for reason in ("unknown_key", "bad_signature", "undecodable", "wrong_target", "other_boot", "expired")
}


class Rig:
    """A folder with keys and configurations, and the processes that live in it."""

    def __init__(self, programs, folder):
        self.programs = Path(programs)
        self.folder = folder
        self.children = []
        for name in ("keys", "allowed", "order-keys"):
            (folder / name).mkdir()
        for name in ("manager", "h1", "h9"):
            write_pair(folder / "keys", name, "curve", *(half.decode() for half in zmq.curve_keypair()))
        key = nacl.signing.SigningKey.generate()
        halves = (z85.encode(bytes(key.verify_key)).decode(), z85.encode(bytes(key)).decode())
        write_pair(folder / "keys", "order", "order", *halves)
        for secret in (folder / "keys").glob("*.key"):
            secret.chmod(0o600)
        for name, where in (("h1", "allowed"), ("h9", "allowed"), ("order", "order-keys")):
            (folder / where / f"{name}.pub").write_bytes((folder / "keys" / f"{name}.pub").read_bytes())

    def start(self, program, config):
        """Starts a daemon on a configuration."""
        file = self.folder / f"{program}.toml"
        file.write_text(config)
        with (self.folder / f"{program}.log").open("w") as log:
            daemon = subprocess.Popen([self.programs / program, "run", "--config", file], stdout=log, stderr=subprocess.STDOUT)
        self.children.append(daemon)

    def stop(self):
        """Ends all, the last one first."""
        for daemon in reversed(self.children):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def log(self, program):
        """The end of what a daemon said."""
        return (self.folder / f"{program}.log").read_text()[-3000:]

    def ask(self, run_folder, daemon):
        """The whole tree answer of a daemon's API; empty while it does not answer."""
        connection = http.client.HTTPConnection(daemon)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        try:
            connection.sock.connect(str(self.folder / run_folder / f"{daemon}.sock"))
            connection.request("GET", "/api/v1/tree")
            return json.loads(connection.getresponse().read())
        except OSError:
            return {}
        finally:
            connection.close()

    def refused(self, run_folder, daemon):
        """{reason: count} of a daemon."""
        return self.ask(run_folder, daemon).get("refused", {})

    def nodes(self, run_folder, daemon):
        """{subject: its node} from a daemon's API; empty while it does not answer."""
        nodes = {}

        def take(node):
            if isinstance(node, dict):
                if "subject" in node and "state" in node:
                    nodes[node["subject"]] = node
                node = list(node.values())
            if isinstance(node, list):
                for each in node:
                    take(each)

        take(self.ask(run_folder, daemon))
        return nodes

    def tree(self):
        """{subject: state} from the manager's API."""
        return {subject: node["state"] for subject, node in self.nodes("run", "manager").items()}

    def held(self, run_folder, daemon):
        """{subject: whether a hold lies on it} from a daemon's API."""
        return {subject: node.get("held", False) for subject, node in self.nodes(run_folder, daemon).items()}

    def peer(self, side, key, more):
        """The command line of a peer."""
        keys = self.folder / "keys"
        return [sys.executable, str(HERE / "peer.py"), side, "--key", f"{keys}/{key}.key", "--name", key, *more.split()]


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def counted(what, wanted, before, after):
    """Each reason was counted as often as wanted; where nothing is wanted, nothing was counted."""
    grown = {reason: count - before.get(reason, 0) for reason, count in after.items() if count != before.get(reason, 0)}
    good = all(least <= grown.get(reason, 0) for reason, least in wanted.items()) and (bool(wanted) or not grown)
    check(what, good, f"wanted {wanted}, counted {grown}")


def children(rig):
    """Every mode of the child against a real manager."""
    at, port = rig.folder, free_port()
    rig.start(
        "manager-watchdog",
        f'listen = ["127.0.0.1:{port}"]\nstate_dir = "{at}/state"\nrun_dir = "{at}/run"\n[keys]\nkey = "{at}/keys/manager.key"\n'
        f'order_key = "{at}/keys/order.key"\nallowed_dir = "{at}/allowed"\n',
    )
    end = time.monotonic() + 15
    while not rig.tree() and time.monotonic() < end:
        time.sleep(0.05)
    for mode, expected in MODES.items():
        before = rig.refused("run", "manager")
        more = f"--server-key {at}/keys/manager.pub --endpoint tcp://127.0.0.1:{port} --mode {mode} --seconds 4 --linger 1"
        run = subprocess.Popen(rig.peer("child", "h9", f"{more} --steal h1"), stdout=subprocess.PIPE, text=True)
        said, tree = "", {}
        for line in run.stdout:
            said += line
            if '"done"' in line:
                time.sleep(0.2)
                tree = rig.tree()
        check(f"manager: {mode}", run.wait() == 0, said[-3000:] + rig.log("manager-watchdog"))
        seen = {subject: tree.get(subject) for subject in expected}
        check(f"tree after {mode}", bool(tree) and seen == expected, f"{seen} {tree}")
        counted(f"manager: {mode} counted", COUNTED.get(mode, {}), before, rig.refused("run", "manager"))
    check("an unknown key is named in the log", "unknown_key" in rig.log("manager-watchdog"))


def orders(rig):
    """Orders of every kind from a foreign manager to a real host-watchdog."""
    at, port = rig.folder, free_port()
    rig.start(
        "host-watchdog",
        f'name = "h1"\nstate_dir = "{at}/host-state"\nrun_dir = "{at}/host-run"\n[keys]\nkey = "{at}/keys/h1.key"\n'
        f'order_keys_dir = "{at}/order-keys"\n[parent]\nconnect = "127.0.0.1:{port}"\nserver_key = "{at}/keys/manager.pub"\n'
        f'[[engine]]\nname = "docker"\nsocket = "{at}/no-engine.sock"\n',
    )
    more = f"--listen tcp://127.0.0.1:{port} --allowed {at}/allowed --order-key {at}/keys/order.key --host h1 --subject h1/docker"
    # Every order asks for a hold. The bad ones come first: a hold that is there afterwards is one of theirs.
    for kinds, held in ((BAD_ORDERS, False), ("good", True)):
        command = rig.peer("parent", "manager", f"{more} --seconds 10 --orders {kinds}")
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        check(f"host: orders {kinds}", done.returncode == 0, done.stdout + done.stderr + rig.log("host-watchdog"))
        for line in map(json.loads, done.stdout.splitlines()):
            if line["event"] == "order":
                check(f"host: order {line['how']}", line["ok"])
        seen = rig.held("host-run", "host").get("h1/docker")
        check(f"host: held is {held} after orders {kinds}", seen is held, f"{seen}")
    counted("host: refused orders counted", ORDERS_COUNTED, {}, rig.refused("host-run", "host"))


def main():
    """Both, in a folder that is gone afterwards."""
    if len(sys.argv) != 2 or not os.access(Path(sys.argv[1]) / "manager-watchdog", os.X_OK):
        print("daemons.py: give the folder with the built programs (target/debug)", file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory(prefix="wt-foreign-") as folder:
        rig = Rig(sys.argv[1], Path(folder))
        try:
            children(rig)
            orders(rig)
        finally:
            rig.stop()
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
