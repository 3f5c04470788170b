"""Runs the commands of docs/one-host.md and docs/two-hosts.md on machines with systemd, then lets things go wrong.

A block ```` ```sh run=MACHINE[,MACHINE] ```` of a document is run there, in order, in one shell per machine that keeps
its variables; a line `scp SOURCE MACHINE:TARGET` copies between the machines. Then: kill -9, `systemctl stop`, an
upgrade and a power-off; after each the right one acts, and only one.

What a document's command printed is judged too. Blocks ```` ```sh upgrade=MACHINE ```` and ```` ```sh off=MACHINE ```` are
run by the checks, at their time; for the upgrade a second build of another version is made from the tarball.

    python3 tests/documents/run.py TARBALL VICTIM [one-host] [two-hosts]

TARBALL is what `cargo xtask dist` made, VICTIM the static victim binary. Exit 0 = everything was seen to hold.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks  # noqa: E402
import rig  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def blocks(document, word="run"):
    """(machines, script) of each block that is marked with the word."""
    text = open(os.path.join(TOP, "docs", document)).read()
    for names, script in re.findall(rf"^```sh {word}=(\S+)\n(.*?)^```$", text, re.S | re.M):
        yield names.split(","), script


def only_block(document, word):
    """The script of the one block that is marked with the word."""
    [(_, script)] = blocks(document, word)
    return script


def second_build(tarball, folder):
    """A tarball of the version that the document upgrades to: a byte behind the end of a program changes nothing but
    what it is."""
    script = only_block("one-host.md", "upgrade")
    name = re.search(r"^cd (watchtree-\S+)$", script, re.M).group(1)
    old = os.path.basename(tarball).removesuffix(".tar.gz")
    if old not in "".join(script for _, script in blocks("one-host.md")):
        raise RuntimeError(f"one-host.md does not install {old}: say the version that is made now")
    rig.run(["tar", "-C", folder, "-xzf", tarball])
    tree = os.path.join(folder, name)
    os.rename(os.path.join(folder, old), tree)
    for program in os.listdir(os.path.join(tree, "bin")):
        with open(os.path.join(tree, "bin", program), "ab") as file:
            file.write(b"\n")
    files = sorted(os.path.relpath(os.path.join(top, file), tree)
                   for top, _, names in os.walk(tree) for file in names if file != "SHA256SUMS")
    with open(os.path.join(tree, "SHA256SUMS"), "w") as sums:
        for file in files:
            sums.write(f"{hashlib.sha256(open(os.path.join(tree, file), 'rb').read()).hexdigest()}  {file}\n")
    made = os.path.join(folder, f"{name}.tar.gz")
    subprocess.run(["tar", "-C", folder, "-czf", made, name], check=True, timeout=120)
    return made


def run_document(machines, document):
    """Runs every block; variables set in one block are there in the next ones of that machine."""
    count = 0
    outputs = []
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
            output = machines.sh(name, keep + rest)[1]
            print(output, flush=True)
            outputs.append((rest, output))
    if count == 0:
        raise RuntimeError(f"{document} has no runnable block")
    checks.judge(document, outputs)
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
        with rig.Rig() as machines, tempfile.TemporaryDirectory(prefix="wt-doc-") as folder:
            machines.upgrade = (second_build(tarball, folder), only_block("one-host.md", "upgrade"))
            machines.off = only_block("one-host.md", "off")
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
