#!/usr/bin/env python3
"""A peer of Watchtree that shares no code with it: written from docs/protocol.md, on another build of libzmq (pyzmq).

As a child it says Hello, beats and reports, or misbehaves in one named way; as a parent it welcomes a host and sends it
orders. Prints a JSON line per thing that happens; the last one is `{"event": "end", "ok": ...}`.

Exit codes: 0 what must happen happened, 1 it did not, 2 bad input, 7 it took longer than it may.
"""

import argparse
import signal
import sys

import child
import parent
import zmq
from node import BadInput, fail


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sides = parser.add_subparsers(dest="side", required=True)
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--key", required=True, help="our own NAME.key (kind curve)")
    both.add_argument("--name", required=True, help="our own name")
    both.add_argument("--seconds", type=float, default=5, help="how long to beat, or to wait for the other side")
    both.add_argument("--beat-ms", type=int, default=200)
    both.add_argument("--epoch", type=int, help="which start this is; default: from the wall clock")
    both.add_argument("--term", type=int, default=1)
    both.add_argument("--limit-s", type=int, default=60, help="hard end of the run")

    down = sides.add_parser("child", parents=[both])
    down.add_argument("--endpoint", required=True, help="tcp://HOST:PORT of the parent")
    down.add_argument("--server-key", required=True, help="the parent's NAME.pub")
    down.add_argument("--mode", choices=list(child.MODES), default="live")
    down.add_argument("--report", nargs="*", default=["docker/foreign"], help="subjects below our name")
    down.add_argument("--goodbye", choices=["RESTART", "HOST_SHUTDOWN", "LEAVING"])
    down.add_argument("--linger", type=float, default=0, help="then beat on for so many seconds")
    down.add_argument("--steal", default="h1", help="whose name or scope to steal")

    up = sides.add_parser("parent", parents=[both])
    up.add_argument("--listen", required=True, help="tcp://ADDRESS:PORT")
    up.add_argument("--allowed", required=True, help="folder of NAME.pub")
    up.add_argument("--order-key", required=True, help="NAME.key (kind order) that the host trusts")
    up.add_argument("--host", required=True, help="the child that must come")
    up.add_argument("--target", help="who carries out the orders; default: the host")
    up.add_argument("--subject", required=True)
    up.add_argument("--verb", choices=["hold", "release", "retry"], default="hold")
    kinds = "good,unknown-key,bad-signature,altered,undecodable,wrong-target,other-boot,expired"
    up.add_argument("--orders", default=kinds, help=f"comma-separated, of {kinds}")
    return parser.parse_args()


def main():
    """Runs one side, bounded in time."""
    args = arguments()
    signal.signal(signal.SIGALRM, lambda *_: fail(7, f"not done within {args.limit_s} s"))
    signal.alarm(args.limit_s)
    try:
        good = (child if args.side == "child" else parent).run(args)
    except BadInput as error:
        fail(2, str(error))
    except zmq.ZMQError as error:
        fail(2, f"zeromq: {error}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
