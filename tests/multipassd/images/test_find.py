"""`find` by the real programs."""

import json
from pathlib import Path

from tests.conftest import DaemonFactory
from tools.imageserver import ImageServer
from tools.imagetree import JAMMY, MANTIC, ImageTree


def test_find_lists_what_can_be_launched(
    daemon: DaemonFactory, tree: ImageTree, server: ImageServer, qcow2: Path
) -> None:
    for release in (JAMMY, MANTIC):
        tree.publish(qcow2, release=release)
    tree.publish(qcow2)
    tree.publish(qcow2, "daily")
    running = daemon(env={"MULTIPASS_IMAGE_REMOTES": server.remotes()})
    found = running.cli("alice", "find", "--format=json")
    assert found.returncode == 0, found.stderr
    images = json.loads(found.stdout)["images"]
    assert list(images) == ["22.04", "24.04"], "the daily list's 24.04 has the same title"
    assert images["24.04"] == {
        "aliases": ["lts", "noble"],
        "os": "Ubuntu",
        "release": "24.04 LTS",
        "remote": "",
        "version": "20260815",
    }
    unsupported = running.cli("alice", "find", "--show-unsupported", "--format=csv").stdout
    assert "23.10" in unsupported
    assert "daily:noble" in running.cli("alice", "find", "noble").stdout
    assert "No images found." in running.cli("alice", "find", "--only-images", "nothing").stdout
    missing = running.cli("alice", "find", "dialy:")
    assert missing.returncode == 2
    assert "Remote 'dialy' is not found." in missing.stderr
