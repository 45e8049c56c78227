"""From Multipass 1.16's snap to ours, to a next one, and back: what must last, lasts."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from protocol.client_certificate import CERTIFICATE, KEY, ensure
from tests.packaging.snaphost import COMMON, SNAP, STORE, SnapHost
from tests.system.host_trust import refused
from tests.system.site import EMPTY_LIST, WRONG

OLD = "/1.16.snap"
NEXT = "/next.snap"
BROKEN = "/broken.snap"
OLD_SETTINGS = "/var/snap/multipass/current/config/multipassd/multipassd.conf"
VAULT = f"{COMMON}/data/multipassd/vault"
RECORDS = f"{COMMON}/data/multipassd/multipassd-vm-instances.json"
USER_DATA = "snap/multipass/current/data/multipass-client-certificate"
UNCOMPRESSED = (
    "-noI",
    "-noD",
    "-noF",
    "-noX",
)  # packing is quick then, and its size does not matter
FIRST, SECOND = "the old secret", "the new secret"

pytestmark = pytest.mark.host


def test_trust_and_the_newest_passphrase_last_through_refresh_and_revert(
    bare: SnapHost, tmp_path: Path
) -> None:
    bare.run("snap", "set", "system", "refresh.retain=5")  # else the first goes with the third
    old_multipass(bare, tmp_path)
    theirs = digest(bare)

    bare.install()
    assert bare.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    refused(bare, "bob")
    bare.run("multipass", "authenticate", FIRST, user="bob")
    bare.run("multipass", "set", f"local.passphrase={SECOND}", user="alice")
    bare.run("multipass", "purge", user="alice")
    assert digest(bare) == theirs

    repack(bare, NEXT, version="9.9")
    bare.install(NEXT)
    assert "9.9" in bare.run("snap", "list", "multipass").stdout
    kept_both_ways(bare, ["alice", "bob"])
    newest_passphrase_counts(bare, "carol")

    bare.run("snap", "revert", "multipass")
    # Not carol: hers was made by the revision that is gone, in a directory of that one's.
    kept_both_ways(bare, ["alice", "bob"])
    refused(bare, "carol")
    newest_passphrase_counts(bare, "dave")
    assert digest(bare) == theirs

    bare.run("snap", "revert", "multipass", f"--revision={revisions(bare)[0]}")
    assert digest(bare) == theirs  # and 1.16 finds its own settings, and the clients added since
    assert bare.inside(STORE).read_text().count("BEGIN CERTIFICATE") == 4


def test_a_next_version_whose_hook_fails_is_not_let_in(machine: SnapHost) -> None:
    machine.run("multipass", "list", user="alice")
    hook = "meta/hooks/post-refresh"
    repack(machine, BROKEN, version="6.6", **{hook: "#!/bin/sh\necho not here >&2\nexit 1\n"})
    done = machine.run("snap", "install", "--dangerous", BROKEN, code=1)
    assert "not here" in done.stdout
    assert "6.6" not in machine.run("snap", "list", "multipass").stdout
    assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST


def test_an_open_command_keeps_a_refresh_waiting_and_goes_on(machine: SnapHost) -> None:
    machine.run("multipass", "list", user="alice")
    repack(machine, NEXT, version="9.9")
    with subprocess.Popen(
        [*machine.entering(), "snap", "run", "--shell", "multipass", "-c", "echo up; read line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stdout is not None
        assert command.stdout.readline() == "up\n"
        done = machine.run("snap", "install", "--dangerous", NEXT, code=1)
        assert "running apps" in done.stdout
        assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST
        command.communicate("\n")
    machine.install(NEXT)
    assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST


def old_multipass(host: SnapHost, place: Path) -> None:
    """A snap of the name and version with what a used 1.16 leaves on disk; its programs are not
    needed, as ours must not run them."""
    tree = place / "old"
    meta: dict[str, Any] = {
        "name": "multipass", "version": "1.16.2", "summary": "old", "description": "old",
        "base": "core24", "confinement": "strict", "apps": {"multipass": {"command": "run"}},
    }  # fmt: skip
    write(tree / "meta/snap.yaml", yaml.safe_dump(meta))
    write(tree / "run", "#!/bin/sh\n", 0o755)
    subprocess.run(["cp", "-a", tree, f"{host.inside('/old')}"], check=True)
    host.run("mksquashfs", "/old", OLD, "-noappend", *UNCOMPRESSED, "-all-root", "-quiet")
    host.install(OLD)
    host.run("multipass", user="alice")  # snapd makes her directory

    pair = place / "alice"
    ensure(str(pair))
    home = host.inside(f"/home/alice/{USER_DATA}")
    home.mkdir(parents=True)
    for name in (CERTIFICATE, KEY):
        write(home / name, (pair / name).read_text())
    host.run("chown", "-R", "alice:alice", "/home/alice/snap")
    write(host.inside(STORE), (pair / CERTIFICATE).read_text(), 0o600)
    secret = hashlib.scrypt(FIRST.encode(), salt=b"", n=16384, r=8, p=1, dklen=64).hex()
    write(host.inside(OLD_SETTINGS), f"[General]\nlocal.passphrase={secret}\n", 0o600)
    write(host.inside(f"{VAULT}/instances/primary/ubuntu.img"), "a disk\n")
    write(host.inside(RECORDS), '{"primary": {"state": 4}}\n')


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def digest(host: SnapHost) -> str:
    """Of everything that is 1.16's alone, with times, owners and modes."""
    first = OLD_SETTINGS.replace("current", revisions(host)[0])
    each = f"find {VAULT} {RECORDS} {first} -exec stat -c '%n %a %U %y' {{}} +"
    contents = f"find {VAULT} {RECORDS} {first} -type f -exec sha256sum {{}} +"
    return host.run("sh", "-c", f"{each}; {contents}").stdout


def revisions(host: SnapHost) -> list[str]:
    """Oldest first."""
    lines = host.run("snap", "list", "--all", "multipass").stdout.splitlines()[1:]
    return sorted((line.split()[2] for line in lines), key=lambda name: int(name[1:]))


def repack(host: SnapHost, to: str, *, version: str, **files: str) -> None:
    """Our snap once more, as another build would be."""
    host.run("unsquashfs", "-quiet", "-no-progress", "-force", "-dest", "/again", SNAP)
    host.run("sed", "-i", f"s/^version: .*/version: '{version}'/", "/again/meta/snap.yaml")
    for name, text in files.items():
        write(host.inside(f"/again/{name}"), text, 0o755)
    host.run("mksquashfs", "/again", to, "-noappend", *UNCOMPRESSED, "-all-root", "-quiet")


def kept_both_ways(host: SnapHost, users: list[str]) -> None:
    for user in users:
        assert host.run("multipass", "list", user=user).stdout == EMPTY_LIST, user


def newest_passphrase_counts(host: SnapHost, user: str) -> None:
    assert host.run("multipass", "authenticate", FIRST, user=user, code=2).stdout == WRONG
    host.run("multipass", "authenticate", SECOND, user=user)
