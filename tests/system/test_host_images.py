"""Images on a real Debian 13: the daemon has no network, its workers have."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.host import Host, new_host
from tests.system.webserver import serve
from tools import rootfs
from tools.imagetree import PATHS, ImageTree

PORT = 8123
SECRET = "/home/alice/secret.img"
SETTINGS = "/etc/multipassd/multipassd.conf"
ASK = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect("/run/multipass_images")
    asked.sendall(sys.stdin.buffer.readline())
    print(asked.makefile().readlines()[-1])
"""

ASK_DISKS = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect("/run/multipass_disks")
    socket.send_fds(asked, [b'["info"]\\n'], [os.open(sys.argv[1], os.O_RDONLY)])
    print(json.loads(asked.makefile().readline())[2])
"""

# Stands in for the real one, which is as good as its libraries: only what it is kept from would be
# missed. It tells that by its complaint where the image is none.
LOOK = """#!/bin/sh
for file; do :; done
case $file in json:*) file=/proc/self/fd/100;; esac
[ "$(id -u)" != 0 ] && [ "$(head -c 3 "$file")" = QFI ] && echo '{"virtual-size": 1048576}'
"""
TELL = """#!/bin/sh
echo uid "$(id -u)" >&2
echo groups "$(id -G)" >&2
echo network "$(readlink /proc/self/ns/net)" >&2
grep -E 'CapBnd|CapEff|NoNewPrivs|Seccomp:' /proc/self/status >&2
ls -d /* /etc/* /run/* /run/*/* /root/* /var/* /tmp/* /proc/[0-9]* >&2 2>/dev/null
touch /usr/x /tmp/x /var/tmp/x /run/x /x 2>/dev/null && echo written >&2
for file in /proc/self/fd/*; do echo "open $(readlink "$file")" >&2; done
exit 1
"""

# And what systemd mounts for itself.
EMPTY_ROOT = {
    "/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sys", "/tmp", "/usr",
    "/var", "/var/tmp", "/run/host", "/run/host/inaccessible", "/run/systemd",
    "/run/host/os-release", "/run/systemd/incoming", "/run/systemd/inaccessible",
    "/run/systemd/journal",
}  # fmt: skip

pytestmark = pytest.mark.host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with new_host() as one:
        disk = tmp_path / "disk.raw"
        disk.write_bytes(b"\0" * 510 + b"\x55\xaa" + bytes(range(256)) * 4096)
        looked = one.root / "usr/bin/qemu-img"
        looked.write_text(LOOK, encoding="ascii")
        looked.chmod(0o755)
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", f"{tmp_path}/empty.qcow2", "1M"], check=True
        )
        ImageTree(one.root / "srv/images").publish(disk)
        shutil.copy(tmp_path / "empty.qcow2", one.root / "srv/images")
        rootfs.make_unified(one.root / "srv/images/container.tar")
        rootfs.make_tar(one.root / "srv/images/home.tar", {"alice/secret": b"x"})
        one.boot()
        yield one


def test_images_are_found_and_fetched_by_workers_with_a_network(host: Host) -> None:
    serve(host, "/srv/images", PORT)
    base = f"http://127.0.0.1:{PORT}/"
    lines = ["[images]", *(f"remote.{name}={base}{path}/" for name, path in PATHS.items())]
    host.run("install", "-D", "-m", "600", "/dev/stdin", SETTINGS, given="\n".join(lines) + "\n")
    assert "24.04" in host.run("multipass", "find").stdout, host.run("journalctl", "-n50").stdout
    assert host.show("multipass-images.socket", "ActiveState") == "active"

    image = {"id": "own", "url": f"{base}{PATHS['release']}/{ImageTree.path_of()}"}
    task = {"kind": "prepare", "image": image, "directory": "/var/lib/multipassd/images"}
    answer = host.run("python3", "-c", ASK, given=json.dumps(task) + "\n").stdout
    assert json.loads(answer)["base"]["format"] == "raw", answer
    qcow2 = {"id": "other", "url": f"{base}empty.qcow2"}
    answer = host.run("python3", "-c", ASK, given=json.dumps(task | {"image": qcow2}) + "\n").stdout
    assert json.loads(answer)["base"]["virtual_size"] == 1 << 20, answer
    assert host.run("stat", "-c", "%a", "/var/lib/multipassd/images/own/disk.img").stdout == "444\n"

    root_file_systems_are_written_anew_and_other_archives_are_not_copied(host)
    files_are_opened_as_the_caller(host)
    a_planted_link_leads_nowhere(host)
    qemu_img_has_nothing_but_the_file_that_it_is_handed(host)


def asked(host: Host, task: dict[str, object]) -> dict[str, Any]:
    answer = host.run("python3", "-c", ASK, given=json.dumps(task) + "\n").stdout
    found: dict[str, Any] = json.loads(answer)
    return found


def root_file_systems_are_written_anew_and_other_archives_are_not_copied(host: Host) -> None:
    caller = {"uid": 0, "gid": 0, "pid": 1, "groups": [0]}
    task: dict[str, object] = {
        "kind": "prepare-rootfs", "directory": "/var/lib/multipassd/images", "caller": caller,
    }  # fmt: skip
    image = {"id": "root", "url": "file:///srv/images/container.tar"}
    answer = asked(host, task | {"image": image})
    assert answer["base"]["format"] == "tar", answer
    listed = host.run("tar", "-tzf", "/var/lib/multipassd/images/root/disk.img").stdout
    assert listed.split() == list(rootfs.FILES)
    answer = asked(host, task | {"image": {"id": "home", "url": "file:///srv/images/home.tar"}})
    assert "other files than a system's" in answer["error"]
    assert "home" not in host.run("ls", "/var/lib/multipassd/images").stdout.split()


def files_are_opened_as_the_caller(host: Host) -> None:
    image = f"/srv/images/{PATHS['release']}/{ImageTree.path_of()}"
    host.run("install", "-o", "alice", "-m", "600", image, SECRET)
    host.run("chmod", "711", "/home/alice")
    for user, text in {"alice": "", "root": "", "bob": "Permission denied"}.items():
        uid, gid = (int(host.run("id", flag, user).stdout) for flag in ("-u", "-g"))
        caller = {"uid": uid, "gid": gid, "pid": 1, "groups": [gid]}
        answer = asked(host, {"kind": "look", "url": f"file://{SECRET}", "caller": caller})
        assert text in answer.get("error", ""), (user, answer)
        assert bool(answer.get("image")) is not bool(text), (user, answer)


def a_planted_link_leads_nowhere(host: Host) -> None:
    """As who took the daemon over could plant one."""
    place = "/var/lib/multipassd/images/planted"
    host.run("mkdir", "-p", place)
    host.run("ln", "-s", SECRET, f"{place}/download.part")
    task: dict[str, object] = {"kind": "prepare", "directory": "/var/lib/multipassd/images"}
    answer = asked(host, task | {"image": {"id": "planted", "url": "http://127.0.0.1:1/"}})
    assert "was not stored" in answer["error"]
    # Nor by the directory's own place: the worker has no more rights there than the daemon.
    host.run("ln", "-s", "/home/alice", "/var/lib/multipassd/images/linked")
    answer = asked(host, task | {"image": {"id": "linked", "url": "http://127.0.0.1:1/"}})
    assert "was not stored" in answer["error"]
    host.run("install", "-d", "-o", "alice", "-m", "700", "/home/alice/closed")
    task |= {"directory": "/home/alice"}
    answer = asked(host, task | {"image": {"id": "closed", "url": "http://127.0.0.1:1/"}})
    assert "Permission denied" in answer["error"]


def qemu_img_has_nothing_but_the_file_that_it_is_handed(host: Host) -> None:
    host.run("install", "-m", "755", "/dev/stdin", "/usr/bin/qemu-img", given=TELL)
    said = host.run("python3", "-c", ASK_DISKS, "/multipass.deb").stdout.splitlines()
    words = [line.partition(" ") for line in said]
    facts = {name: value for name, _, value in words if name in {"uid", "groups", "network"}}
    group = host.run("getent", "group", "multipass-vm").stdout.split(":")[2]
    assert 61184 <= int(facts["uid"]) <= 65519  # systemd's own, for this one run
    assert facts["groups"].split() == [facts["uid"], group]
    assert facts["network"] != host.run("readlink", "/proc/self/ns/net").stdout.strip()
    rights = {line.split(":")[0]: line.split()[1] for line in said if ":\t" in line}
    assert rights == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    seen = {line for line in said if line.startswith("/") and "*" not in line}
    processes = {place for place in seen if place.startswith("/proc/")}
    assert len(processes) <= 3, processes  # the helper, the script, and what it runs
    assert seen - processes <= EMPTY_ROOT, seen
    assert "written" not in said
    opened = {line.removeprefix("open ") for line in said if line.startswith("open /")}
    assert opened <= {"/dev/null", "/multipass.deb", "/usr/bin/qemu-img"}, opened
    assert host.exposure("multipass-disks@.service") <= 1.0
