"""The child: a DEALER that says Hello, beats, reports and answers; and the ways in which a bad one behaves."""

import os
import time

import zmq
from node import MONITORED, Identity, Printer, now_us, read_key
from wire import MAGIC, fnv1a64_xor, frame, read_frame
from zmq.utils.monitor import recv_monitor_message

# A parent tells of refusals at most every 200 ms (section 3.10): attacks keep this distance.
TELL_AGAIN_S = 0.25


class Child:
    """One connection to a parent."""

    def __init__(self, args, keys, name=None):
        self.me = Identity(name or args.name, "HOST", args.epoch)
        self.out = Printer()
        self.verdicts = []
        self.numbers = {"beat": 0, "report": 0}
        self.beat_every = args.beat_ms * 1000
        self.next_slot = now_us()
        self.up = False
        self.refused_by_key = False
        self.context = zmq.Context()
        self.keys, self.server_key, self.endpoint = keys, read_key(args.server_key)[0], args.endpoint
        self.connect()

    def connect(self):
        """A new socket; without IMMEDIATE, which would throw away what came before a connection ended."""
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 200)
        self.socket.curve_publickey, self.socket.curve_secretkey = self.keys
        self.socket.curve_serverkey = self.server_key
        self.monitor = self.socket.get_monitor_socket(sum(MONITORED))
        self.socket.connect(self.endpoint)

    def disconnect(self, linger_ms):
        """Closes the socket; what it has not sent within that time is lost."""
        self.socket.disable_monitor()
        # Not closed by the line above: `term` would wait for it for ever.
        self.monitor.close(linger=0)
        self.socket.close(linger=linger_ms)

    def close(self):
        """Leaves nothing behind, within the linger time."""
        self.disconnect(500)
        self.context.term()

    # --- what it says ------------------------------------------------------------------------------------------------

    def send(self, kind, body, slot=None, **changes):
        """Sends a frame and returns its parts; a full or broken link loses it, which is told."""
        parts = frame(kind, self.me.header(slot, **changes), body)
        self.send_parts(parts, kind)
        return parts

    def send_parts(self, parts, what):
        """Sends any parts, but nothing while there is no connection: it would wait for the next one."""
        if not self.up:
            self.out.say("not_sent", what=what)
            return
        try:
            self.socket.send_multipart(parts, zmq.DONTWAIT)
            self.out.say("sent", what=what, bytes=sum(map(len, parts)))
        except zmq.Again:
            self.out.say("not_sent", what=what)

    def digest(self):
        """Of what it reports."""
        words = [(v["subject"], v["incarnation"], v["state"].replace("_", " ")) for v in self.verdicts]
        return {"algorithm": "fnv1a64-xor", "value": fnv1a64_xor(words)}

    def hello(self, **changes):
        """Says who it is."""
        body = {
            "identity": self.me.body(),
            "capabilities": 1,
            "scope": self.me.name,
            "digest": self.digest(),
            "beat_wanted_us": self.beat_every,
        }
        return self.send("HELLO", body | changes)

    def beat(self):
        """Beats if the slot has come; missed slots are skipped."""
        now = now_us()
        if now < self.next_slot:
            return
        missed = (now - self.next_slot) // self.beat_every
        slot = self.next_slot + missed * self.beat_every
        self.next_slot = slot + self.beat_every
        self.numbers["beat"] += 1 + missed
        body = {"number": self.numbers["beat"], "digest": self.digest()}
        self.send("BEAT", body | {"figures": [{"name": "foreign", "value": 1}]}, slot)

    def verdict(self, subject, state="OK"):
        """A verdict of a container below its scope."""
        return {
            "subject": f"{self.me.name}/{subject}",
            "state": state,
            "level": "CERTAIN",
            "incarnation": "foreign@1",
            "since_us": now_us(),
            "why": "said by a foreign peer",
            "kind": "CONTAINER",
            "observer": self.me.name,
            "evidence": [{"kind": "new_incarnation", "detail": "a foreign peer says so", "at_us": now_us()}],
        }

    def report(self, verdicts, **changes):
        """Reports, and stands by it from then on."""
        self.verdicts += verdicts
        self.numbers["report"] += 1
        body = {"number": self.numbers["report"], "verdicts": verdicts, "digest": self.digest()}
        return self.send("REPORT", body, **changes)

    # --- what it hears -----------------------------------------------------------------------------------------------

    def turn(self, until_us, beats=True):
        """Waits for something until then, and answers as a child must."""
        if beats and self.up:
            self.beat()
            until_us = min(until_us, self.next_slot)
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.monitor, zmq.POLLIN)
        ready = dict(poller.poll(max(0, until_us - now_us()) / 1000))
        if self.monitor in ready:
            self.monitored(recv_monitor_message(self.monitor))
        if self.socket in ready:
            self.take()

    def take(self):
        """Takes one frame that is there."""
        kind, header, body = read_frame(self.socket.recv_multipart())
        self.out.took(kind, header, body)
        self.answer(kind, body)

    def monitored(self, event):
        """The link came up, went down or was refused."""
        what = MONITORED.get(event["event"])
        if what is None:
            return
        self.out.say(what, value=event["value"])
        was_up = self.up
        self.up = what == "up" or (self.up and what != "down")
        self.refused_by_key |= what == "handshake_refused"
        if was_up and not self.up:
            # What had come is read; what had not left goes with the socket, so that nothing old is sent on a new connection.
            while self.socket.poll(0):
                self.take()
            self.disconnect(0)
            self.connect()

    def answer(self, kind, body):
        """Does what the document asks of a child."""
        if kind == "WELCOME":
            self.beat_every = body["beat_every_us"]
        elif kind == "RE_HELLO":
            self.hello()
        elif kind == "PING":
            self.send("PONG", {"nonce": body["nonce"]})
        elif kind == "SNAPSHOT_REQUEST":
            snapshot = {"scope": self.me.name, "last": True, "verdicts": self.verdicts, "digest": self.digest()}
            self.send("SNAPSHOT", snapshot)

    def wait(self, seconds, ready=lambda: False, beats=True):
        """Turns until `ready` or the time is over; tells which."""
        end = now_us() + int(seconds * 1e6)
        while not ready() and now_us() < end:
            self.turn(end, beats)
        return ready()

    def join(self, seconds):
        """Up, Hello, Welcome."""
        if not self.wait(seconds, lambda: self.up or self.refused_by_key) or not self.up:
            return False
        self.hello()
        return self.wait(seconds, lambda: self.out.count("WELCOME"))

    def refused(self, attack, reason):
        """Does `attack` and waits for the refusal; True if its reason (or the detail's first word) is the given one."""
        time.sleep(TELL_AGAIN_S)
        before = self.out.count("REFUSED")
        attack()
        self.wait(2, lambda: self.out.count("REFUSED") > before)
        told = self.out.bodies("REFUSED")[before:]
        fits = any(reason in (body["reason"], body["detail"].split(":")[0]) for body in told)
        self.out.say("attack", expected=reason, refused=fits)
        return fits


# --- one function per way to run: True if what must happen happened --------------------------------------------------


def live(child, args):
    """A good peer: Hello, beats, one report, answers. Needs Welcome, ReportAck and a BeatAck."""
    if not child.join(args.seconds):
        return False
    child.report([child.verdict(subject) for subject in args.report])
    child.wait(args.seconds)
    if args.goodbye:
        child.send("GOODBYE", {"reason": args.goodbye, "back_within_us": 30_000_000})
        child.wait(0.3)
    out = child.out
    return bool(out.count("REPORT_ACK") and out.count("BEAT_ACK")) and not out.count("REFUSED")


def unknown_key(child, args):
    """A key that is on no list: the handshake must be refused, and nothing may come."""
    child.wait(args.seconds, lambda: child.refused_by_key or child.up)
    return child.refused_by_key and not child.up and not child.out.got


def stolen_name(child, args):
    """An enrolled key that speaks under another's name: Hello, then a beat and a report of ruin."""
    child.wait(args.seconds, lambda: child.up)
    fits = child.refused(child.hello, "stolen_name")
    ruin = [child.verdict("docker/web", "DOWN")]
    fits &= child.refused(lambda: child.report(ruin), "stolen_name")
    return fits and not child.out.count("WELCOME")


def garbage(child, args):
    """An enrolled peer that sends what is no frame. It must be told, and still be welcome afterwards."""
    if not child.join(args.seconds):
        return False
    good = frame("BEAT", child.me.header(), {"number": 1})

    def attack(reason, parts):
        return child.refused(lambda: child.send_parts(parts, reason), reason)

    fits = [
        attack("bad_part_count", [b"hello"]),
        attack("bad_part_count", good + [b""]),
        attack("bad_magic", [b"GET / HTTP/1.1", b"", b""]),
        attack("unsupported_version", [b"WT2", good[1], good[2]]),
        attack("bad_header", [MAGIC, b"\xff" * 20, good[2]]),
        attack("bad_body", [MAGIC, good[1], b"\x0a\xff\xff\xff\xff\x0f"]),
        attack("bad_body", frame("REPORT", child.me.header(), {})[:2] + [b"\x12\x00" * 100_000]),
        attack("unknown_kind", [MAGIC, good[1] + b"\x08\x63", good[2]]),
        attack("over_limit", frame("BEAT", child.me.header(hops_left=9), {})),
        attack("bad_name", frame("BEAT", child.me.header(origin="a b"), {})),
        attack("bad_value", frame("BEAT", child.me.header(seq=0), {})),
        attack("missing_field", frame("HELLO", child.me.header(), {"scope": child.me.name})),
    ]
    for _ in range(200):
        child.send_parts([os.urandom(1 + os.urandom(1)[0]) for _ in range(1 + os.urandom(1)[0] % 6)], "noise")
    acknowledged = child.out.count("REPORT_ACK")
    child.report([child.verdict("docker/after-garbage")])
    return all(fits) and child.wait(3, lambda: child.out.count("REPORT_ACK") > acknowledged)


def oversize(child, args):
    """Just over the body's limit: told. Far over the frame's: counted, or the connection ends; others are unharmed."""
    if not child.join(args.seconds):
        return False
    over = frame("BEAT", child.me.header(), {})[:2] + [b"\x7a\x80\x80\x10" + bytes(245_760)]
    fits = child.refused(lambda: child.send_parts(over, "too_large"), "too_large")
    for size in (300_000, 2_000_000):
        child.send_parts([MAGIC, over[1], bytes(size)], "oversize")
        child.wait(0.5)
    # The link may have been cut; a good peer comes back by itself.
    welcomes = child.out.count("WELCOME")
    back = child.wait(5, lambda: child.up)
    child.hello()
    return fits and back and child.wait(5, lambda: child.out.count("WELCOME") > welcomes)


def replay(child, args):
    """Frames sent twice, steps back in the sequence, and an earlier life: each refused, each without effect."""
    if not child.join(args.seconds):
        return False
    first = child.report([child.verdict("docker/replayed", "OK")])
    if not child.wait(3, lambda: child.out.count("REPORT_ACK")):
        return False
    good = child.verdicts
    down = [child.verdict("docker/replayed", "DOWN")]
    body = {"number": 99, "verdicts": down, "digest": child.digest()}
    fits = child.refused(lambda: child.send_parts(first, "replay"), "replayed_seq")
    fits &= child.refused(lambda: child.send("REPORT", body, seq=2), "replayed_seq")
    epoch = child.me.epoch
    fits &= child.refused(lambda: child.send("REPORT", body, agent_epoch=epoch - 1), "stale_epoch")
    slot = now_us() + 3_600_000_000
    fits &= child.refused(lambda: child.send("REPORT", body, slot), "bad_header")
    assert child.verdicts is good
    return fits


def order_up(child, args):
    """An order sent upward, signed by a key of its own: only parents give orders."""
    if not child.join(args.seconds):
        return False
    from parent import new_signing_key, order_body, signed

    body = order_body(child.me.name, child.me.boot_id, f"{child.me.name}/docker/web", "hold", args.term)
    return child.refused(lambda: child.send("ORDER", signed(body, new_signing_key())), "wrong_direction")


def out_of_scope(child, args):
    """A report of another host's container."""
    if not child.join(args.seconds):
        return False
    stranger = child.verdict("docker/web", "DOWN") | {"subject": f"{args.steal}/docker/web"}
    body = {"number": 1, "verdicts": [stranger], "digest": child.digest()}
    return child.refused(lambda: child.send("REPORT", body), "out_of_scope")


def clone(child, args):
    """A copied machine: another node id under the same name and key, while the first one lives."""
    if not child.join(args.seconds):
        return False
    copy = Child(args, read_key(args.key))
    copy.me.node_id = os.urandom(16)
    try:
        if not copy.wait(args.seconds, lambda: copy.up, beats=False):
            return False
        child.wait(0.3)
        told = copy.refused(copy.hello, "clone")
    finally:
        copy.close()
    # The first one goes on undisturbed.
    acknowledged = child.out.count("REPORT_ACK")
    child.report([child.verdict("docker/original")])
    return told and child.wait(3, lambda: child.out.count("REPORT_ACK") > acknowledged)


MODES = {
    "live": live,
    "unknown-key": unknown_key,
    "stolen-name": stolen_name,
    "garbage": garbage,
    "oversize": oversize,
    "replay": replay,
    "order-up": order_up,
    "out-of-scope": out_of_scope,
    "clone": clone,
}


def run(args):
    """Runs one mode; True if it went as it must."""
    keys = zmq.curve_keypair() if args.mode == "unknown-key" else read_key(args.key)
    child = Child(args, keys, args.steal if args.mode == "stolen-name" else None)
    try:
        good = MODES[args.mode](child, args)
        if args.linger:
            # Whoever started us looks at the parent now, while the child still lives.
            child.out.say("done", ok=good)
            child.wait(args.linger)
        child.out.say("end", mode=args.mode, ok=good, kinds={k: child.out.count(k) for k in {g[0] for g in child.out.got}})
        return good
    finally:
        child.close()
