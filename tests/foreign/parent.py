"""The parent: a ROUTER with CURVE and an allow-list that welcomes a host and sends it orders, good ones and bad ones."""

import hashlib
import os
from pathlib import Path

import nacl.signing
import zmq
import zmq.auth.thread
from node import BadInput, Identity, Printer, now_us, read_key
from wire import Malformed, encode, frame, read_frame
from zmq.utils import z85

PURPOSE = "watchtree.link.v1.Order"
HOLD_US = 60_000_000
LIVES_US = 30_000_000


def new_signing_key():
    """A key that nobody trusts."""
    return nacl.signing.SigningKey.generate()


def load_signing_key(path):
    """From a key file of kind order."""
    secret = read_key(path)[1]
    if secret is None:
        raise BadInput(f"{path}: has no secret key")
    return nacl.signing.SigningKey(z85.decode(secret))


def key_id(key):
    """First 8 bytes of SHA-256 of the public key, in hex."""
    return hashlib.sha256(bytes(key.verify_key)).hexdigest()[:16]


def order_body(target, boot_id, subject, verb, term, lives_us=LIVES_US, its_now=None):
    """The values of an `Order`."""
    return {
        "purpose": PURPOSE,
        "id": os.urandom(16),
        "target": target,
        "subject": subject,
        verb: {"lasts_us": HOLD_US} if verb == "hold" else {},
        "term": term,
        "boot_id": boot_id,
        "expires_us": (now_us() if its_now is None else its_now) + lives_us,
        "asked_by": "a foreign manager",
    }


def signed(body, key, named_as=None):
    """A `SignedOrder` over the exact bytes; `named_as` claims another key than the one that signed."""
    data = encode("Order", body)
    return {"order": data, "key_id": key_id(named_as or key), "signature": key.sign(data).signature}


class Parent:
    """One ROUTER."""

    def __init__(self, args):
        self.args = args
        self.me = Identity(args.name, "MANAGER", args.epoch)
        self.out = Printer()
        self.rids = {}
        self.boots = {}
        self.clocks = {}
        self.context = zmq.Context()
        self.auth = zmq.auth.thread.ThreadAuthenticator(self.context)
        self.auth.start()
        self.names = self.allowed(args.allowed)
        self.auth.configure_curve_callback(domain="watchtree", credentials_provider=self)
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 500
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.MAXMSGSIZE, 256 * 1024)
        self.socket.curve_publickey, self.socket.curve_secretkey = read_key(args.key)
        self.socket.curve_server = True
        # libzmq asks the ZAP handler only for a socket that has a domain.
        self.socket.zap_domain = b"watchtree"
        self.socket.bind(args.listen)
        self.out.say("listening", endpoint=self.socket.last_endpoint.decode())

    @staticmethod
    def allowed(folder):
        """{public key as Z85: node name}"""
        return {read_key(path)[0]: path.stem for path in sorted(Path(folder).glob("*.pub"))}

    def callback(self, _domain, key):
        """ZAP asks: is this key on the list? (`ThreadAuthenticator` gives it as Z85 and makes it the User-Id.)"""
        known = key in self.names
        self.out.say("key", allowed=known, name=self.names.get(key, ""))
        return known

    def close(self):
        """In the order libzmq wants it: the ZAP handler after the sockets it serves."""
        self.socket.close()
        self.auth.stop()
        self.context.term()

    def send(self, rid, kind, body, **changes):
        """Sends a frame to a connection."""
        try:
            self.socket.send_multipart([rid, *frame(kind, self.me.header(**changes), body)], zmq.DONTWAIT)
            self.out.say("sent", what=kind)
        except zmq.ZMQError as error:
            # The connection is gone, or its queue is full.
            self.out.say("not_sent", what=kind, why=str(error))

    def turn(self, until_us):
        """Waits for a frame until then and answers as a parent must."""
        if not self.socket.poll(max(0, until_us - now_us()) // 1000 + 1):
            return
        frames = self.socket.recv_multipart(copy=False)
        rid, parts = frames[0].bytes, [part.bytes for part in frames[1:]]
        name = self.names.get(frames[-1].get("User-Id").encode(), "")
        try:
            kind, header, body = read_frame(parts)
        except Malformed as error:
            self.out.say("undecodable", why=str(error))
            return
        if header["origin"] != name:
            self.send(rid, "REFUSED", {"seq": header["seq"], "reason": "stolen_name", "detail": f"you are {name}"})
            return
        self.clocks[name] = (header["sent_us"], now_us())
        self.boots[name] = header["boot_id"]
        self.out.took(kind, header, body)
        self.answer(rid, name, kind, header, body)

    def answer(self, rid, name, kind, header, body):
        """Welcome, BeatAck, ReportAck; ReHello for who has no session."""
        if kind == "HELLO":
            self.rids[name] = rid
            welcome = {
                "identity": self.me.body(),
                "beat_every_us": self.args.beat_ms * 1000,
                "ack_every": 1,
                "parent_silence_us": 10_000_000,
                "term": self.args.term,
                "digest": {"algorithm": "fnv1a64-xor"},
            }
            self.send(rid, "WELCOME", welcome)
            self.send(rid, "SNAPSHOT_REQUEST", {})
        elif name not in self.rids:
            self.send(rid, "RE_HELLO", {"why": "a foreign manager has just started"})
        elif kind == "BEAT":
            self.send(rid, "BEAT_ACK", {"number": body["number"], "sent_echo_us": header["sent_us"]})
        elif kind == "REPORT":
            self.send(rid, "REPORT_ACK", {"number": body["number"]})

    def wait(self, seconds, ready=lambda: False):
        """Turns until `ready` or the time is over; tells which."""
        end = now_us() + int(seconds * 1e6)
        while not ready() and now_us() < end:
            self.turn(end)
        return ready()

    def its_now(self, name):
        """That node's clock, from its last frame."""
        sent, received = self.clocks[name]
        return sent + now_us() - received

    # --- orders ------------------------------------------------------------------------------------------------------

    def order(self, how, trusted):
        """One order of the given kind: (body, signed)."""
        host, target = self.args.host, self.args.target or self.args.host
        changes = {"lives_us": -1_000_000} if how == "expired" else {}
        body = order_body(
            target, self.boots[host], self.args.subject, self.args.verb, self.args.term, its_now=self.its_now(host), **changes
        )
        if how == "wrong-target":
            body["target"] = "somebody-else"
        if how == "other-boot":
            body["boot_id"] = bytes(16)
        if how == "unknown-key":
            return body, signed(body, new_signing_key())
        if how == "bad-signature":
            return body, signed(body, new_signing_key(), named_as=trusted)
        if how == "altered":
            good = signed(body, trusted)
            return body, good | {"order": encode("Order", body | {"asked_by": "somebody else"})}
        if how == "undecodable":
            data = b"\xff" * 40
            return body, {"order": data, "key_id": key_id(trusted), "signature": trusted.sign(data).signature}
        return body, signed(body, trusted)

    def send_order(self, how, trusted):
        """Sends it and waits for what became of it; True if that is what must become of it."""
        host, target = self.args.host, self.args.target or self.args.host
        body, order = self.order(how, trusted)
        before = self.out.count("ORDER_RESULT")
        self.send(self.rids[host], "ORDER", order, target=target)
        self.wait(3, lambda: self.out.count("ORDER_RESULT") > before)
        results = self.out.bodies("ORDER_RESULT")[before:]
        expected = "" if how == "good" else {"altered": "bad_signature"}.get(how, how.replace("-", "_"))
        outcome = "CARRIED_OUT" if how == "good" else "REFUSED"
        fits = any((each["outcome"], each["refusal"]) == (outcome, expected) for each in results)
        self.out.say("order", how=how, id=body["id"], ok=fits)
        return fits


def run(args):
    """Welcomes the host, sends the orders one by one; True if each became what it must."""
    trusted = load_signing_key(args.order_key)
    parent = Parent(args)
    try:
        good = parent.wait(args.seconds, lambda: args.host in parent.rids and args.host in parent.clocks)
        # A host that has just joined sends its snapshot and first beats: orders need its clock.
        good = good and parent.wait(args.seconds, lambda: parent.out.count("BEAT"))
        results = [parent.send_order(how, trusted) for how in args.orders.split(",")] if good else []
        good = bool(results) and all(results)
        parent.out.say("end", ok=good, kinds={k: parent.out.count(k) for k in {g[0] for g in parent.out.got}})
        return good
    finally:
        parent.close()
