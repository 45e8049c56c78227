"""Write records of instances without launching them, for tests and benchmarks."""

from __future__ import annotations

import subprocess
from typing import Any

from multipassd.drivers.qemu.hardware import QemuHardware
from multipassd.instances.records.record import ImageOrigin, Record
from multipassd.instances.records.registry import Registry
from tools.sandbox import Sandbox

HARDWARE = QemuHardware("pc", "max,la57=off", "bios").kept()


def make(name: str, number: int = 0, **fields: object) -> Record:
    known: dict[str, Any] = {
        "name": name,
        "instance_id": f"{name}-1",
        "image": ImageOrigin(id="0" * 64, os="Ubuntu", release="24.04 LTS"),
        "hardware": HARDWARE,
        "cpus": 1,
        "memory": 1 << 30,
        "disk": 5 << 30,
        "mac": "52:54:00:" + ":".join(f"{byte:02x}" for byte in number.to_bytes(3, "big")),
        "host_key": "ssh-ed25519 AAAA",
    }
    return Record(**(known | fields))


def registry(sandbox: Sandbox) -> Registry:
    return Registry(sandbox.data / "instances", sandbox.storage / "machines")


def put(sandbox: Sandbox, record: Record) -> None:
    """Write a record, an empty disk and an empty seed; call it before the daemon starts."""
    known = registry(sandbox)
    place = known.place(record.name)
    place.mkdir(parents=True)
    disk = [str(place / "disk.qcow2"), str(record.disk)]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *disk], check=True)
    (place / "seed.iso").touch()
    known.put(record)
