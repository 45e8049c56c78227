"""An instance goes into one file and comes back: as a new one, and as it was, elsewhere too."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from multipassd.cloudinit import seed, vendor_data
from multipassd.images import exported as tar
from tests.instances.site import Site, site


@pytest.fixture(scope="module")
def exported(shared: Site) -> Path:
    """The file of foo, which is stopped, with a word of its user's in it."""
    launched = shared.launch("foo")
    assert launched.returncode == 0, launched
    shared.inside("foo", "echo kept > word; sync")
    running = shared.cli("export", "foo", str(shared.sandbox.root / "early"))
    assert running.returncode == 2 and "is not stopped" in running.stderr
    shared.done("stop", "foo")
    path = shared.sandbox.root / "foo.export"
    assert shared.done("export", "foo", str(path)).endswith(f"Exported: foo to {path}\n")
    return path


def record(here: Site, name: str) -> dict[str, object]:
    text = (here.storage / f"data/instances/{name}.json").read_text("utf-8")
    found: dict[str, object] = json.loads(text)
    return found


def test_the_file_is_a_tar_archive_for_its_owner_alone(shared: Site, exported: Path) -> None:
    assert exported.stat().st_mode & 0o777 == 0o600
    with tarfile.open(exported) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json") or exported.open("rb"))
    assert names == ["manifest.json", "seed.iso", "disk.qcow2", "SHA256SUMS"]
    assert manifest["name"] == "foo" and "-----BEGIN" not in json.dumps(manifest)
    again = shared.cli("export", "foo", str(exported))
    assert again.returncode == 2 and "exists already" in again.stderr
    assert [path.name for path in exported.parent.glob(".foo*")] == []


def test_an_import_is_a_new_instance_with_the_same_files(shared: Site, exported: Path) -> None:
    told = shared.done("import", str(exported), "--name", "bar")
    assert told.endswith("Imported: bar\n") and shared.state("bar") == "Stopped"
    foo, bar = record(shared, "foo"), record(shared, "bar")
    for own in ("mac", "host_key", "instance_id"):
        assert foo[own] != bar[own]
    assert (bar["cpus"], bar["memory"]) == (foo["cpus"], foo["memory"])
    content = seed.read(shared.storage / "machines/bar/seed.iso")
    assert vendor_data.RENEWS.encode() in content["vendor-data"]
    shared.done("start", "bar")
    assert shared.inside("bar", "cat word; hostname") == "kept\nbar"
    shared.done("delete", "--purge", "bar")


def changed(path: Path, target: Path, **fields: str) -> Path:
    """The same file with these fields of the manifest."""
    with tarfile.open(path) as archive:
        files = [(each.name, archive.extractfile(each)) for each in archive]
        parts = {name: file.read() for name, file in files if file is not None}
    manifest = json.loads(parts[tar.MANIFEST]) | fields
    parts[tar.MANIFEST] = json.dumps(manifest).encode()
    del parts[tar.SUMS]
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    parts[tar.SUMS] = tar.sums(digests)
    with target.open("wb") as file:
        for name, data in parts.items():
            file.write(tar.header(name, len(data)) + data + tar.padding(len(data)))
        file.write(tar.END)
    return target


def test_no_file_makes_an_instance_that_certificates_for_another_open(
    shared: Site, exported: Path, tmp_path: Path
) -> None:
    """Certificates are for an instance id, which a file could repeat."""
    foo = record(shared, "foo")
    twin = changed(exported, tmp_path / "twin", name="twin", mac="52:54:00:12:34:56")
    shared.done("import", str(twin), "--as-is")
    made = record(shared, "twin")
    assert made["instance_id"] != foo["instance_id"]
    assert made["ssh_authority"] == foo["ssh_authority"]
    data = seed.read(shared.storage / "machines/twin/seed.iso")["user-data"].decode()
    assert f"ubuntu@{made['instance_id']}" in data and str(foo["instance_id"]) not in data
    shared.done("delete", "--purge", "twin")


def test_elsewhere_it_comes_back_as_it_was(shared: Site, exported: Path) -> None:
    taken = shared.cli("import", str(exported), "--as-is")
    assert taken.returncode == 2 and 'instance "foo" already exists' in taken.stderr
    with site() as other:
        other.done("import", str(exported), "--as-is")
        before, after = record(shared, "foo"), record(other, "foo")
        assert (after["mac"], after["host_key"]) == (before["mac"], before["host_key"])
        other.done("start", "foo")
        assert other.inside("foo", "cat word; hostname") == "kept\nfoo"
        assert after["ssh_authority"] not in ("", before["ssh_authority"])
        assert "foo is logged in to by certificates\n" in other.cli("info", "-v", "foo").stderr


def test_it_comes_back_after_it_was_purged(shared: Site, exported: Path) -> None:
    before = record(shared, "foo")
    shared.done("delete", "--purge", "foo")
    shared.done("import", str(exported), "--as-is")
    after = record(shared, "foo")
    for same in ("mac", "host_key", "instance_id", "ssh_authority"):
        assert after[same] == before[same]
