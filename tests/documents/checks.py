"""What must hold after the documents were followed: kill -9, stop, upgrade, power-off, and who acts then.

Contract: each check prints what it saw, with seconds, and raises where it does not hold. "Healed" is taken from the
service itself: a new process of it answers.
"""

import json
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
    return before


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
    machines.sh("h1", f"docker start {container(machines, 'worker')}")


def upgraded(machines):
    """Another build: a byte behind the end of the file changes nothing but what it is."""
    old = pids(machines, "container-watchdog")
    machines.sh("h1", """
        cp /usr/local/bin/container-watchdog /usr/local/bin/.new && echo >> /usr/local/bin/.new
        mv /usr/local/bin/.new /usr/local/bin/container-watchdog""")
    machines.sh("h1", f"kill -9 {pids(machines, 'host-watchdog')[0]}")
    took = machines.until("a child of another build is replaced", 40,
                          lambda: len(pids(machines, "container-watchdog")) == 1 and pids(machines, "container-watchdog") != old)
    rig.say(f"upgrade: the container-watchdog of the old build was replaced after {took:.1f} s")
    before = crash(machines, "web")
    healed(machines, "web", before, 5, "upgrade")
    only_one(machines, "upgrade")


def powered_off(machines):
    machines.sh("h1", f"docker stop -t 1 {container(machines, 'worker')}")
    machines.power_off("h1")
    machines.power_on("h1")
    healed(machines, "web", None, 30, "power-off and on")
    stays_down(machines, "worker", 8, "power-off and on")
    only_one(machines, "power-off and on")
    machines.sh("h1", f"docker start {container(machines, 'worker')}")


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
    shows(machines, "h1", ["unwatched"], 5, "power-off")
    machines.power_on("h1")
    shows(machines, "h1", ["ok", "degraded"], 20, "power on")
    only_one(machines, "power on")


def after(document, machines):
    """Everything that must hold after a document was followed."""
    only_one(machines, "after the document")
    if document == "one-host":
        for check in (healer_killed, host_killed, stopped_and_started, upgraded, powered_off):
            check(machines)
    else:
        seen_by_manager(machines)
