"""Images for containers, from a list or a file to a container on a real cluster."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.host import Host
from tests.system.incus_cluster import PROJECT, Cluster, cluster
from tests.system.incus_site import IncusSite, incus_site
from tools import containerimage, rootfs
from tools.imagetree import JAMMY, ImageTree

NOISE = 64 << 20  # bytes
UPLOADS = ": another launch, or the upload"  # a stage, in the log
CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def fabric(incus_base: Host) -> Iterator[Cluster]:
    with cluster(incus_base, members=1) as formed:
        yield formed


@pytest.fixture(scope="module")
def qcow2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    return path


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, qcow2: Path) -> ImageTree:
    """noble as a disk and as the tiny image's root file system, jammy as a disk alone."""
    if not shutil.which("mksquashfs"):
        pytest.skip("mksquashfs is missing (package squashfs-tools)")
    place = tmp_path_factory.mktemp("images")
    tree = ImageTree(place / "www")
    packed = str(containerimage.kept())
    words = ["tar", "-xzf", packed, "-C", str(place), "--exclude=dev/*", "rootfs"]
    subprocess.run(words, check=True)
    tree.publish(rootfs.make_squashfs(place / "squashfs", place / "rootfs"), item="squashfs")
    tree.publish(qcow2)
    tree.publish(qcow2, release=JAMMY)
    return tree


@pytest.fixture(scope="module")
def site(fabric: Cluster, tree: ImageTree) -> Iterator[IncusSite]:
    """With the server of images where the daemon reaches it."""
    command = [*fabric.entering, sys.executable, "-m", "tools.imageserver", str(tree.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            remotes = server.stdout.readline().partition('"')[2].rstrip('"\n')
            with incus_site(fabric, {"MULTIPASS_IMAGE_REMOTES": remotes}) as running:
                yield running
        finally:
            server.kill()


def uploaded(fabric: Cluster) -> int:
    found = fabric.member(1).query(f"/1.0/images?project={PROJECT}")
    return len(found)


def test_a_container_is_made_of_the_squashfs_of_a_release_which_is_uploaded_once(
    site: IncusSite, fabric: Cluster
) -> None:
    listed = site.done("find", "--format=csv")
    assert "24.04" in listed and "22.04" not in listed
    before = uploaded(fabric)
    shown = site.done("launch", "noble", "--name", "foo")
    assert "Preparing image: 100%" in shown and "Launched: foo" in shown
    assert "foo" in site.done("exec", "foo", "--", "hostname")
    assert "Preparing image: " not in site.done("launch", "noble", "--name", "bar")
    assert uploaded(fabric) == before + 1
    site.done("delete", "--purge", "foo", "bar")


def test_a_container_is_made_of_an_incus_image_in_a_file(site: IncusSite) -> None:
    assert "Launched: foo" in site.done("launch", site.url, "--name", "foo")
    site.done("delete", "--purge", "foo")


def test_disks_are_refused_for_containers_with_what_to_do_and_leave_nothing(
    site: IncusSite, fabric: Cluster, qcow2: Path
) -> None:
    before = uploaded(fabric)
    texts = {"jammy": "has no container form", f"file://{qcow2}": "it is a disk, qcow2"}
    for image, text in texts.items():
        refused = site.cli("launch", image, "--name", "foo")
        assert refused.returncode == 2
        assert text in refused.stderr
        assert "multipass set local.incus.type=virtual-machine" in refused.stderr
    assert "No instances found." in site.done("list")
    assert uploaded(fabric) == before


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny image with what no packing makes smaller, so that its upload takes a while."""
    place = tmp_path_factory.mktemp("large")
    (place / "rootfs/usr").mkdir(parents=True)
    (place / "rootfs/usr/noise").write_bytes(os.urandom(NOISE))
    path = place / "large.tar"
    with gzip.open(containerimage.kept()) as packed, path.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    subprocess.run(["tar", "-rf", path, "-C", place, "rootfs/usr/noise"], check=True)
    return path


def test_a_daemon_killed_during_an_upload_leaves_no_part_of_it_and_launches_afterwards(
    site: IncusSite, fabric: Cluster, large: Path
) -> None:
    before = uploaded(fabric)
    began = site.daemon.log_text().count(UPLOADS)
    launching = site.begin("launch", f"file://{large}", "--name", "foo")
    site.wait_for(lambda: site.daemon.log_text().count(UPLOADS) > began, "the upload")
    site.kill_daemon()
    launching.communicate()
    assert "No instances found." in site.done("list")
    assert "Launched: foo" in site.done("launch", f"file://{large}", "--name", "foo")
    assert uploaded(fabric) == before + 1
    said = fabric.member(1).run("ls", "/var/lib/incus/images").stdout
    assert "incus_build" not in said
    site.done("delete", "--purge", "foo")
