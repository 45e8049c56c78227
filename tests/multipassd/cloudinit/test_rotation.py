"""The service's key is replaced by another, of which the file alone tells that it is the present
one; earlier ones are kept as long as they are needed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from multipassd.cloudinit import seed, ssh_keys
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.system import files
from protocol.errors import StorageFailed


def test_the_first_key_is_made_at_the_first_need_and_a_rotation_makes_the_next(
    tmp_path: Path,
) -> None:
    key = ServiceKey(tmp_path)
    assert key.name == "" and not (tmp_path / "ssh-keys").exists()
    first = key.public
    assert key.exists and key.present == ("", first)
    assert key.rotate() == "id_ed25519.rotation-2"
    assert key.rotate() == "id_ed25519.rotation-3"
    again = ServiceKey(tmp_path)
    assert again.present == ("id_ed25519.rotation-3", key.public)
    assert again.public_of("") == first
    assert again.retired() == [first, again.public_of("id_ed25519.rotation-2")]
    assert oct((tmp_path / "ssh-keys/id_ed25519.rotation-3").stat().st_mode)[-3:] == "600"


def test_earlier_keys_go_when_no_instance_needs_them_and_what_is_not_ours_stays(
    tmp_path: Path,
) -> None:
    key = ServiceKey(tmp_path)
    assert key.public
    others = ("id_ed25519_2024", "id_ed25519.rotation-1", "0" * 32, "authority_rsa")
    for name in others:
        (tmp_path / "ssh-keys" / name).write_bytes(b"a user's")
    second, third = key.rotate(), key.rotate()
    key.remove_all_but({second})
    assert set(os.listdir(tmp_path / "ssh-keys")) == {*others, second, third, ssh_keys.RETIRED}
    with pytest.raises(StorageFailed, match="backup"):
        key.private_of("")
    key.remove_all_but(set())
    assert ServiceKey(tmp_path).name == third


@pytest.mark.parametrize("call", [1, 2])
def test_a_full_disk_leaves_the_present_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    key = ServiceKey(tmp_path)
    public, write, calls = key.public, files.write_atomically, 0

    def full(path: Path, data: bytes, mode: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data, mode)

    monkeypatch.setattr(ssh_keys, "write_atomically", full)
    with pytest.raises(StorageFailed, match="No space"):
        key.rotate()
    assert key.present == ServiceKey(tmp_path).present == ("", public)
    assert key.rotate() == "id_ed25519.rotation-2"


def test_a_seed_has_the_new_key_in_the_place_of_the_former_one(tmp_path: Path) -> None:
    old, new = ssh_keys.make().public, ssh_keys.make().public
    blob = old.split()[1]
    text = (
        f"#cloud-config\nusers:\n- ssh_authorized_keys:\n  - {old}\n  - ssh-ed25519\n    {blob} x\n"
    )
    path = tmp_path / "seed"
    path.write_bytes(seed.image({"meta-data": b"a: b\n", "user-data": text.encode()}))
    seed.replace_keys(path, [old], new)
    found = seed.read(path)["user-data"].decode()
    assert blob not in found and found.count(new) == 2
    seed.replace_keys(path, [new], "")
    assert seed.read(path)["user-data"].decode().count("- ") == 2, "one has a comment, and stays"
