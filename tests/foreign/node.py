"""What a peer is besides its frames: keys, clock, identity, the printed report. Written from docs/protocol.md."""

import hashlib
import json
import sys
import time
from pathlib import Path

import zmq


class BadInput(Exception):
    """Something only a person can mend: one line, exit code 2."""


def now_us():
    """CLOCK_MONOTONIC in microseconds."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def read_key(path):
    """(public, secret or None) as Z85 bytes from a key file (section 1)."""
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}") from error
    words = dict(line.split(" ", 1) for line in lines[1:] if " " in line)
    if not lines or not lines[0].startswith("watchtree-key v1 ") or len(words.get("public", "")) != 40:
        raise BadInput(f"{path}: no key file")
    secret = words.get("secret")
    return words["public"].encode(), secret.encode() if secret else None


def machine_id():
    """16 bytes of /etc/machine-id, or of the boot where there is none."""
    try:
        return bytes.fromhex(Path("/etc/machine-id").read_text(encoding="ascii").strip())[:16].ljust(16, b"\0")
    except (OSError, ValueError):
        return boot_id()


def boot_id():
    """16 bytes of this boot."""
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", ""))


class Identity:
    """One life of a node, and its sequence."""

    def __init__(self, name, tier, epoch=None):
        self.name = name
        self.tier = tier
        # A real node keeps both on disk. The name's hash stays the same and the wall clock grows from run to run.
        self.node_id = hashlib.sha256(b"foreign " + name.encode()).digest()[:16]
        self.epoch = int(time.time() * 10) if epoch is None else epoch
        self.boot_id = boot_id()
        self.seq = 0

    def body(self):
        """As `NodeIdentity`."""
        return {
            "name": self.name,
            "tier": self.tier,
            "node_id": self.node_id,
            "machine_id": machine_id(),
            "boot_id": self.boot_id,
            "agent_epoch": self.epoch,
            "version": "foreign",
        }

    def header(self, slot=None, **changes):
        """The next frame's header."""
        self.seq += 1
        sent = now_us()
        header = {
            "seq": self.seq,
            "origin": self.name,
            "boot_id": self.boot_id,
            "agent_epoch": self.epoch,
            "sent_us": sent,
            "slot_us": sent if slot is None else slot,
            "hops_left": 8,
        }
        return header | changes


class Printer:
    """JSON lines on stdout, one per thing that happened, and what came so far."""

    def __init__(self):
        self.start = now_us()
        self.got = []

    def say(self, event, **more):
        """Prints one line."""
        line = {"t_ms": (now_us() - self.start) // 1000, "event": event} | more
        print(json.dumps(line, default=bytes.hex), flush=True)

    def took(self, kind, header, body):
        """Prints and keeps a frame."""
        self.got.append((kind, header, body))
        self.say("got", kind=kind, origin=header["origin"], seq=header["seq"], body=body)

    def count(self, kind):
        """How many of that kind came."""
        return sum(1 for each in self.got if each[0] == kind)

    def bodies(self, kind):
        """All bodies of that kind."""
        return [body for each, _, body in self.got if each == kind]


def fail(code, line):
    """One line on stderr, and out."""
    print(f"peer.py: {line}", file=sys.stderr)
    sys.exit(code)


MONITORED = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "up",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "handshake_refused",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "handshake_failed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "handshake_failed",
    zmq.EVENT_DISCONNECTED: "down",
}
