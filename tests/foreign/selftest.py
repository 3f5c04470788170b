#!/usr/bin/env python3
"""The foreign peer against itself: golden bytes of the Rust side, the digest, and its own child and parent over CURVE.

Needs no daemon. Prints one line per check; exit code 1 if one failed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nacl.signing
import zmq
from wire import BODIES, ENUMS, MESSAGES, decode, encode, fnv1a64_xor, read_frame
from zmq.utils import z85

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parents[1] / "crates" / "watchtree-wire" / "golden"
FAILED = []


def check(what, good, detail=""):
    """One line."""
    print(f"{'ok    ' if good else 'FAILED'} {what} {'' if good else detail}")
    if not good:
        FAILED.append(what)


def golden():
    """Every kind's bytes are read, and written again the same."""
    kinds = {word for number, word in ENUMS["MessageKind"].items() if number}
    check("every kind has a body", kinds == BODIES.keys(), kinds ^ BODIES.keys())
    for kind in sorted(kinds):
        parts = [bytes.fromhex(line) for line in (GOLDEN / f"{kind.lower()}.hex").read_text().split("\n")[:3]]
        read, header, body = read_frame(parts)
        again = [b"WT1", encode("Header", {"kind": read, **header}), encode(BODIES[read], body)]
        check(f"golden {kind}", read == kind and again == parts, f"{again} {parts}")
    order = bytes.fromhex((GOLDEN / "order_content.hex").read_text().strip())
    check("golden order", encode("Order", decode("Order", order)) == order)
    check("digest", fnv1a64_xor([("h/d/a", "c@t", "OK")]) == 0x9351CCD4EF6CE7F9)
    check("messages", len(MESSAGES) >= 30, len(MESSAGES))


def write_pair(folder, name, kind, public, secret):
    """A key file and its public half, as section 1 says."""
    head = f"watchtree-key v1 {kind}"
    (folder / f"{name}.key").write_text(f"{head} secret\npublic {public}\nsecret {secret}\n")
    (folder / f"{name}.pub").write_text(f"{head} public\npublic {public}\n")


def over_curve():
    """A child and a parent of ours on one machine: Hello, beats, report; an unknown key and a stolen name."""
    with tempfile.TemporaryDirectory(prefix="wt-foreign-") as path:
        folder = Path(path)
        allowed = folder / "allowed"
        allowed.mkdir()
        for name, where in (("manager", folder), ("h9", allowed)):
            write_pair(where, name, "curve", *(half.decode() for half in zmq.curve_keypair()))
        key = nacl.signing.SigningKey.generate()
        write_pair(folder, "order", "order", z85.encode(bytes(key.verify_key)).decode(), z85.encode(bytes(key)).decode())
        peer = [sys.executable, str(HERE / "peer.py")]
        parent = subprocess.Popen(
            peer
            + f"parent --key {folder}/manager.key --name manager --listen tcp://127.0.0.1:* --allowed {allowed}".split()
            + f"--order-key {folder}/order.key --host h9 --subject h9/docker/web --orders good --seconds 8".split(),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            endpoint = json.loads(parent.stdout.readline())["endpoint"]
            child = f"child --key {allowed}/h9.key --name h9 --server-key {folder}/manager.pub --endpoint {endpoint}"
            for mode in ("unknown-key", "stolen-name", "live"):
                done = subprocess.run(
                    peer + f"{child} --mode {mode} --seconds 2".split(),
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=30,
                )
                check(f"child {mode}", done.returncode == 0, done.stdout + done.stderr)
            said = parent.communicate(timeout=30)[0]
            check("the parent saw Hello, beats and a report", all(f'"{kind}"' in said for kind in ("HELLO", "BEAT", "REPORT")))
        finally:
            parent.kill()
            parent.wait()


if __name__ == "__main__":
    golden()
    over_curve()
    sys.exit(1 if FAILED else 0)
