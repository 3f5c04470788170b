"""Runs the commands of docs/one-host.md and docs/two-hosts.md on machines with systemd, then lets things go wrong.

A block ```` ```sh run=MACHINE[,MACHINE] ```` of a document is run there, in order, in one shell per machine that keeps
its variables; a line `scp SOURCE MACHINE:TARGET` copies between the machines. Then: kill -9, `systemctl stop`, an
upgrade and a power-off; after each the right one acts, and only one.

    python3 tests/documents/run.py TARBALL VICTIM [one-host] [two-hosts]

TARBALL is what `cargo xtask dist` made, VICTIM the static victim binary. Exit 0 = everything was seen to hold.
"""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks  # noqa: E402
import rig  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def blocks(document):
    """(machines, script) of each runnable block."""
    text = open(os.path.join(TOP, "docs", document)).read()
    for names, script in re.findall(r"^```sh run=(\S+)\n(.*?)^```$", text, re.S | re.M):
        yield names.split(","), script


def run_document(machines, document):
    """Runs every block; variables set in one block are there in the next ones of that machine."""
    count = 0
    for names, script in blocks(document):
        for name in names:
            count += 1
            copies = re.findall(r"^scp (\S+) ([a-z0-9]+):(\S+)$", script, re.M)
            for source, target_machine, target in copies:
                machines.copy(name, source, target_machine, target)
            rest = re.sub(r"^scp .*\n", "", script, flags=re.M)
            if not rest.strip():
                continue
            keep = "touch /tmp/.variables; . /tmp/.variables; trap 'declare -p CONTAINER 2>/dev/null > /tmp/.variables || true' EXIT\n"
            print(f"--- {document}, on {name}:\n{rest.strip()}", flush=True)
            print(machines.sh(name, keep + rest)[1], flush=True)
    if count == 0:
        raise RuntimeError(f"{document} has no runnable block")
    rig.say(f"{document}: {count} blocks ran")


def install_project(machines, name, victim):
    """A compose project `shop` with two services from one static binary, as the user of the document already has it."""
    with tempfile.TemporaryDirectory() as folder:
        compose = os.path.join(folder, "docker-compose.yml")
        with open(compose, "w") as file:
            file.write(checks.COMPOSE)
        machines.sh(name, "mkdir -p /srv/shop")
        machines.put(name, compose, "/srv/shop/docker-compose.yml")
        machines.put(name, victim, "/srv/shop/victim")
    machines.sh(name, checks.PROJECT_UP)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    tarball, victim, which = sys.argv[1], sys.argv[2], sys.argv[3:] or ["one-host", "two-hosts"]
    for document in which:
        with rig.Rig() as machines:
            names = {"one-host": ["h1"], "two-hosts": ["m1", "h1"]}[document]
            for name in names:
                machines.machine(name)
                machines.put(name, tarball, f"/tmp/{os.path.basename(tarball)}")
            install_project(machines, "h1", victim)
            try:
                run_document(machines, f"{document}.md")
                checks.after(document, machines)
            except Exception:
                for name in names:
                    print(machines.sh(name, "journalctl --no-pager -n 80 -u '*watchdog*'", check=False)[1])
                raise
        rig.say(f"{document}: all seen")


if __name__ == "__main__":
    main()
