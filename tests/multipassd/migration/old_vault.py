"""A vault as a daemon of Multipass 1.16 writes it, made from the facts of its files."""

from __future__ import annotations

import json
import os
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

from pycdlib import PyCdlib

IMAGE = "ubuntu-24.04-server-cloudimg-amd64.img"
BIOS_IMAGE = "ubuntu-16.04-server-cloudimg-amd64-disk1.img"
KEY = b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
FILES = {
    "meta-data": b"instance-id: %s\nlocal-hostname: %s\n",
    "user-data": b"#cloud-config\n{}\n",
    "vendor-data": b"#cloud-config\n{}\n",
}


def image(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


class OldVault:
    def __init__(self, storage: Path, key: bytes = KEY) -> None:
        self.data = storage / "data"
        self.instances: dict[str, Any] = {}
        self.images: dict[str, Any] = {}
        self._write(self.data / "ssh-keys/id_rsa", key)
        (self.data / "ssh-keys/id_rsa").chmod(0o600)

    def directory(self, name: str) -> Path:
        return self.data / "vault/instances" / name

    def disk(self, name: str, file: str = IMAGE) -> Path:
        return self.directory(name) / file

    def add(self, name: str, *, base: Path | None = None, file: str = IMAGE, **fields: Any) -> Path:
        """Its disk: a copy of `base`, whole, or an empty one."""
        disk = self.disk(name, file)
        disk.parent.mkdir(parents=True)
        if base is None:
            image("create", "-q", "-f", "qcow2", disk, "16M")
        else:
            image("convert", "-O", "qcow2", base, disk)
        number = len(self.instances)
        self.instances[name] = {
            "num_cores": 1,
            "mem_size": str(1 << 30),
            "disk_space": "5G",
            "ssh_username": "ubuntu",
            "state": 1,
            "deleted": False,
            "metadata": {},
            "mac_addr": f"52:54:00:00:00:{number + 16:02x}",
            "extra_interfaces": [],
            "mounts": [],
            "clone_count": 0,
            **fields,
        }
        self.images[name] = {
            "image": {
                "path": str(disk),
                "id": "0a" * 32,
                "original_release": "24.04 LTS",
                "current_release": "noble",
                "release_date": "20260101",
                "aliases": [],
            },
            "query": {"release": "noble", "persistent": False, "remote_name": "", "query_type": 0},
            "last_accessed": 0,
        }
        self.seed(name)
        self.save()
        return disk

    def seed(self, name: str, **files: bytes) -> None:
        iso = PyCdlib()
        iso.new(interchange_level=3, joliet=3, vol_ident="cidata")
        content = {**FILES, "meta-data": FILES["meta-data"] % (name.encode(), name.encode())}
        content |= {key.replace("_", "-"): value for key, value in files.items()}
        for number, (file, data) in enumerate(content.items()):
            iso.add_fp(BytesIO(data), len(data), f"/F{number}.;1", joliet_path=f"/{file}")
        iso.write(str(self.directory(name) / "cloud-init-config.iso"))
        iso.close()

    def snapshot(self, instance: str, index: int, parent: int = 0, **fields: Any) -> None:
        image("snapshot", "-c", f"@s{index}", self.disk(instance))
        self.describe(instance, index, parent, **fields)

    def describe(self, instance: str, index: int, parent: int = 0, **fields: Any) -> None:
        """Without the content of the disk."""
        of_instance = self.instances[instance]
        snapshot = {
            "name": f"snapshot{index}",
            "comment": "",
            "cloud_init_instance_id": instance,
            "parent": parent,
            "index": index,
            "creation_timestamp": "2023-10-30T13:31:37.123Z",
            **{key: of_instance[key] for key in
               ("num_cores", "mem_size", "disk_space", "extra_interfaces", "state", "metadata",
                "mounts")},
            **fields,
        }  # fmt: skip
        place = self.directory(instance)
        self._write(place / f"{index:04}.snapshot.json", _json({"snapshot": snapshot}))
        self._write(place / "snapshot-head", b"%d" % index)
        self._write(place / "snapshot-count", b"%d" % index)

    def save(self) -> None:
        self._write(self.data / "multipassd-vm-instances.json", _json(self.instances))
        path = self.data / "vault/multipassd-instance-image-records.json"
        self._write(path, _json(self.images))

    def content(self) -> dict[str, tuple[int, int, bytes]]:
        """All of it, to prove that nothing of it changes."""
        found = {}
        for path in sorted(self.data.rglob("*")):
            status = path.lstat()
            data = path.read_bytes() if path.is_file() else b""
            found[os.fspath(path)] = (status.st_mode, status.st_mtime_ns, data)
        return found

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=4).encode()
