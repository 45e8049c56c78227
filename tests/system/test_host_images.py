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

# Stands in for the real one, which is as good as its libraries: only root's rights would be missed.
LOOK = """#!/bin/sh
for file; do :; done
[ "$(id -un)" != root ] && [ "$(head -c 3 "$file")" = QFI ] && echo '{"virtual-size": 1048576}'
"""

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

    files_are_opened_as_the_caller(host)
    a_planted_link_leads_nowhere(host)


def asked(host: Host, task: dict[str, object]) -> dict[str, Any]:
    answer = host.run("python3", "-c", ASK, given=json.dumps(task) + "\n").stdout
    found: dict[str, Any] = json.loads(answer)
    return found


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
