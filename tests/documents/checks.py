"""What must hold after the documents were followed: kill -9, stop, upgrade, power-off, and who acts then.

Contract: each check prints what it saw, with seconds, and raises where it does not hold. "Healed" is taken from the
service itself: a new process of it answers. "Only one acts" is taken from the engine: as many starts as crashes.
"""

import json
import os
import re
import time

import rig

# The checks crash one service more often than the shipped budget of 5 allows.
COMPOSE = """\
services:
  web:
    image: shop/victim
    network_mode: host
    environment: {VICTIM_PORT: "7400"}
    labels: {watchtree.enable: "true", watchtree.budget: "20/10m"}
  worker:
    image: shop/victim
    network_mode: host
    environment: {VICTIM_PORT: "7401"}
    labels: {watchtree.enable: "true", watchtree.budget: "20/10m"}
"""

PROJECT_UP = r"""
cd /srv/shop && chmod 0755 victim
mkdir -p image && cp victim image/victim
printf 'FROM scratch\nCOPY victim /victim\nENTRYPOINT ["/victim"]\n' > image/Dockerfile
DOCKER_BUILDKIT=0 docker build -q -t shop/victim image
docker-compose up -d 2>&1
"""

SERVICE = {"web": 7400, "worker": 7401}

# Document, a part of a block, and what it must print.
PRINTS = (
    ("one-host.md", "systemctl --no-pager status", r"Active: active \(running\)"),
    ("one-host.md", "watchtree --local tree", r"\bweb\b"),
    ("one-host.md", "kill -9", r"^true$"),
    ("one-host.md", 'docker stop "$CONTAINER"', r"^false$"),
    ("two-hosts.md", "watchtree tree", r"\bh1\b"),
)


def judge(document, outputs):
    """Holds what the document's commands printed against what they are there to show."""
    for where, part, wanted in PRINTS:
        if where != document:
            continue
        printed = [output for script, output in outputs if part in script]
        if not printed:
            raise RuntimeError(f"{document} has no block with {part!r} any more")
        if not all(re.search(wanted, output, re.M) for output in printed):
            raise RuntimeError(f"{document}: {part!r} did not print {wanted!r}")


class Ledger:
    """How often each service should have been started by now, and how often the engine says it was."""

    def __init__(self, machines, **expected):
        self.machines, self.since = machines, time.time()
        self.expected = {"web": 0, "worker": 0} | expected

    def starts(self):
        def count(service):
            events = f"docker events --since {self.since:.6f} --until {time.time():.6f}"
            only = f"--filter type=container --filter event=start --filter container={container(self.machines, service)}"
            return len(self.machines.sh("h1", f"{events} {only} --format '{{{{.ID}}}}'")[1].split())
        return {service: count(service) for service in SERVICE}

    def check(self, what):
        self.machines.until(f"{what}: {self.expected} starts", 15, lambda: self.starts() == self.expected)
        # A second healer would be a little later.
        time.sleep(1)
        if (starts := self.starts()) != self.expected:
            raise RuntimeError(f"{what}: started {starts}, not {self.expected}")
        rig.say(f"{what}: as many starts as crashes: {starts}")


def container(machines, service):
    """The id of a service's container, running or not."""
    return machines.sh("h1", f"docker ps -aq --filter label=com.docker.compose.service={service}")[1].strip()


def answer(machines, service):
    """`pong PID NONCE` of the service, or None."""
    code, out = machines.sh("h1", f"VICTIM_PORT={SERVICE[service]} /srv/shop/victim say ping 500", check=False)
    return out.strip() if code == 0 else None


def crash(machines, service):
    """Ends the service as a crash would; returns what it answered before."""
    before = answer(machines, service)
    if before is None:
        raise RuntimeError(f"{service} does not answer, so it cannot be crashed")
    machines.sh("h1", f"kill -9 $(docker inspect -f '{{{{.State.Pid}}}}' {container(machines, service)})")
    machines.ledger.expected[service] += 1
    return before


def start(machines, service):
    """Starts the service as a person would."""
    machines.sh("h1", f"docker start {container(machines, service)}")
    machines.ledger.expected[service] += 1


def healed(machines, service, before, within, what):
    """Waits until a new process of the service answers."""
    took = machines.until(f"{what}: {service} is healed", within,
                          lambda: answer(machines, service) not in (None, before))
    rig.say(f"{what}: {service} healed after {took:.1f} s")


def stays_down(machines, service, seconds, what):
    """Nobody starts the service again for that long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer(machines, service) is not None:
            raise RuntimeError(f"{what}: {service} was started again")
        time.sleep(0.25)
    rig.say(f"{what}: {service} left alone for {seconds} s")


def pids(machines, program, host="h1"):
    """Process ids of a daemon that are not defunct."""
    script = f"for p in $(pgrep -x {program[:15]} || true); do grep -q '^State:.Z' /proc/$p/status || echo $p; done"
    return machines.sh(host, script, check=False)[1].split()


def only_one(machines, what):
    """Exactly one healer and one host-watchdog live."""
    def holds():
        return len(pids(machines, "container-watchdog")) == 1 and len(pids(machines, "host-watchdog")) == 1
    took = machines.until(f"{what}: one of each daemon lives", 15, holds)
    rig.say(f"{what}: one healer, one host-watchdog, after {took:.1f} s")
    machines.ledger.check(what)


def healer_killed(machines):
    old = pids(machines, "container-watchdog")
    machines.sh("h1", f"kill -9 {old[0]}")
    before = crash(machines, "web")
    healed(machines, "web", before, 6, "kill -9 of container-watchdog")
    only_one(machines, "kill -9 of container-watchdog")
    if pids(machines, "container-watchdog") == old:
        raise RuntimeError("the killed container-watchdog still has its pid")


def host_killed(machines):
    old = pids(machines, "container-watchdog")
    machines.sh("h1", f"kill -9 {pids(machines, 'host-watchdog')[0]}")
    before = crash(machines, "web")
    healed(machines, "web", before, 3, "kill -9 of host-watchdog")
    only_one(machines, "kill -9 of host-watchdog")
    if pids(machines, "container-watchdog") != old:
        raise RuntimeError("the living container-watchdog was not adopted")


def stopped_and_started(machines):
    machines.sh("h1", "systemctl stop host-watchdog")
    if pids(machines, "container-watchdog") or pids(machines, "host-watchdog"):
        raise RuntimeError("systemctl stop left a daemon behind")
    before = crash(machines, "web")
    machines.sh("h1", f"docker stop -t 1 {container(machines, 'worker')}")
    stays_down(machines, "web", 3, "systemctl stop")
    machines.sh("h1", "systemctl start host-watchdog")
    healed(machines, "web", before, 10, "systemctl start")
    stays_down(machines, "worker", 5, "a stop while nobody watched")
    only_one(machines, "systemctl start")
    start(machines, "worker")


def upgraded(machines):
    """As the document says it; and between its two steps nothing goes wrong either."""
    tarball, script = machines.upgrade
    machines.put("h1", tarball, f"/tmp/{os.path.basename(tarball)}")
    install, restart = script.rstrip().rsplit("\n", 1)
    machines.sh("h1", install)
    machines.sh("h1", f"kill -9 {pids(machines, 'container-watchdog')[0]}")
    machines.until("installed, not restarted: the killed child is revived", 10,
                   lambda: len(pids(machines, "container-watchdog")) == 1)
    new = pids(machines, "container-watchdog")
    before = crash(machines, "web")
    healed(machines, "web", before, 6, "installed, not restarted")
    time.sleep(8)
    if pids(machines, "container-watchdog") != new:
        raise RuntimeError("installed, not restarted: the child of the new build was replaced")
    before = crash(machines, "web")
    machines.sh("h1", restart)
    healed(machines, "web", before, 6, "upgrade")
    only_one(machines, "upgrade")
    for program in ("host-watchdog", "container-watchdog"):
        [pid] = pids(machines, program)
        machines.sh("h1", f"cmp /proc/{pid}/exe /usr/local/bin/{program}")
    rig.say("upgrade: both daemons are of the new build")


def crashed_after_an_install(machines):
    """Another build, and no orderly restart: an adopted child is replaced."""
    old = pids(machines, "container-watchdog")
    machines.sh("h1", """
        cp /usr/local/bin/container-watchdog /usr/local/bin/.new && echo >> /usr/local/bin/.new
        mv /usr/local/bin/.new /usr/local/bin/container-watchdog""")
    machines.sh("h1", f"kill -9 {pids(machines, 'host-watchdog')[0]}")
    took = machines.until("a child of another build is replaced", 40,
                          lambda: len(pids(machines, "container-watchdog")) == 1 and pids(machines, "container-watchdog") != old)
    what = "crash after an install"
    rig.say(f"{what}: the container-watchdog of the old build was replaced after {took:.1f} s")
    before = crash(machines, "web")
    healed(machines, "web", before, 5, what)
    only_one(machines, what)


def powered_off(machines):
    machines.sh("h1", f"docker stop -t 1 {container(machines, 'worker')}")
    machines.power_off("h1")
    # The engine forgets its events. What it ended itself is started again.
    machines.ledger = Ledger(machines, web=1)
    machines.power_on("h1")
    healed(machines, "web", None, 30, "power-off and on")
    stays_down(machines, "worker", 8, "power-off and on")
    only_one(machines, "power-off and on")
    start(machines, "worker")


def taken_off(machines):
    """As the document says it, in the worst case: a crash, and a configuration that keeps it from coming back."""
    machines.sh("h1", "echo 'no_such_key = 1' >> /etc/watchtree/host.toml")
    machines.sh("h1", f"kill -9 {pids(machines, 'host-watchdog')[0]}")
    machines.until("the host-watchdog stays down", 15, lambda: machines.sh(
        "h1", "systemctl is-failed host-watchdog", check=False)[1].strip() == "failed")
    # Not web: it has crashed so often that its next restart is delayed.
    before = crash(machines, "worker")
    healed(machines, "worker", before, 5, "broken configuration")
    machines.ledger.check("broken configuration")
    machines.sh("h1", machines.off)
    if pids(machines, "container-watchdog") or pids(machines, "host-watchdog"):
        raise RuntimeError("taking it off left a daemon behind")
    crash(machines, "worker")
    stays_down(machines, "worker", 5, "taken off")


def state(machines, subject):
    """The state the manager shows."""
    code, out = machines.sh("m1", "watchtree --json tree", check=False)
    if code not in (0, 3):
        return None

    def find(node):
        if node.get("subject") == subject:
            return node.get("state")
        return next((found for child in node.get("children", []) if (found := find(child))), None)

    tree = json.loads(out)
    roots = tree.get("nodes") or tree.get("tree") or tree.get("roots") or []
    return next((found for root in roots if (found := find(root))), None)


def shows(machines, subject, wanted, within, what):
    took = machines.until(f"{what}: {subject} is shown as {wanted}", within, lambda: state(machines, subject) in wanted)
    rig.say(f"{what}: {subject} shown as {state(machines, subject)} after {took:.1f} s")


def seen_by_manager(machines):
    shows(machines, "h1", ["ok", "degraded"], 10, "after start")
    machines.sh("h1", f"kill -STOP {pids(machines, 'host-watchdog')[0]}")
    shows(machines, "h1", ["agent_lost"], 5, "frozen host-watchdog")
    machines.sh("h1", f"kill -CONT {pids(machines, 'host-watchdog')[0]}")
    shows(machines, "h1", ["ok", "degraded"], 6, "thawed host-watchdog")
    rig.run(["docker", "network", "disconnect", machines.tag, machines.machines["h1"]])
    before = crash(machines, "web")
    healed(machines, "web", before, 3, "cut off from the manager")
    shows(machines, "h1", ["unreachable"], 6, "network pulled")
    rig.run(["docker", "network", "connect", "--alias", "h1", machines.tag, machines.machines["h1"]])
    shows(machines, "h1", ["ok", "degraded"], 40, "network back")
    machines.sh("m1", "systemctl restart manager-watchdog")
    shows(machines, "h1", ["ok", "degraded"], 8, "manager restarted")
    machines.sh("m1", f"kill -9 {pids(machines, 'manager-watchdog', 'm1')[0]}")
    before = crash(machines, "web")
    healed(machines, "web", before, 3, "manager killed")
    shows(machines, "h1", ["ok", "degraded"], 10, "manager killed")
    machines.sh("h1", "systemctl stop host-watchdog")
    shows(machines, "h1", ["unwatched"], 5, "systemctl stop")
    machines.sh("h1", "systemctl start host-watchdog")
    shows(machines, "h1", ["ok", "degraded"], 8, "systemctl start")
    machines.power_off("h1")
    machines.ledger = Ledger(machines, web=1, worker=1)
    shows(machines, "h1", ["unwatched"], 5, "power-off")
    machines.power_on("h1")
    shows(machines, "h1", ["ok", "degraded"], 20, "power on")
    only_one(machines, "power on")


def after(document, machines):
    """Everything that must hold after a document was followed."""
    machines.ledger = Ledger(machines)
    only_one(machines, "after the document")
    if document == "one-host":
        for check in (healer_killed, host_killed, stopped_and_started, upgraded,
                      crashed_after_an_install, powered_off, taken_off):
            check(machines)
    else:
        seen_by_manager(machines)
