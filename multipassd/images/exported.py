"""The file that `multipass export` writes: a tar archive, with its members in this order.

    manifest.json   a Manifest
    seed.iso        what cloud-init reads
    uefi.qcow2      the UEFI variables, of an instance that boots by UEFI
    disk.qcow2      the disk without its snapshots, compressed, on no other file
    SHA256SUMS      of the members above, as sha256sum writes it

Such a file is untrusted when it is read: members have these names, each once, and limited sizes.
Pure.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from multipassd.models.checks import at_most_long, between
from multipassd.models.model import Model
from protocol import names

MANIFEST, SEED, VARIABLES, DISK, SUMS = (
    "manifest.json", "seed.iso", "uefi.qcow2", "disk.qcow2", "SHA256SUMS",
)  # fmt: skip
ORDER = (MANIFEST, SEED, VARIABLES, DISK, SUMS)
BLOCK = 512  # bytes, of tar
END = bytes(2 * BLOCK)
MODE = 0o600  # the seed holds the private host key
# Bytes of a member; of the disk as many as the file has.
LIMITS = {MANIFEST: 64 << 10, SEED: 16 << 20, VARIABLES: 16 << 20, DISK: 1 << 60, SUMS: 4096}
MAX_NAME = 63
MAX_CPUS = 255
MEMORY = 128 << 20, 1 << 50  # bytes, the least and the most
MAX_DISK = 1 << 50  # bytes

MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
HOST_KEY = re.compile(r"(ssh-ed25519 [A-Za-z0-9+/=]{1,200})?")
SHA256 = re.compile(r"[0-9a-f]{0,64}")
USER = re.compile(r"([a-z_][a-z0-9_-]{0,31})?")
WORD = re.compile(r"[!-~]{1,128}")


class NoExport(ValueError):
    """It is no such file; the text is a clause that says why."""


Title = Annotated[str, at_most_long(100)]


class Manifest(Model):
    """What is known of the instance, but for what only its own host gives it: its cards on the
    host's networks, mounts and snapshots."""

    format: Literal["multipass-export"] = "multipass-export"
    version: Literal[1] = 1
    name: Annotated[str, names.valid, at_most_long(MAX_NAME)]
    cpus: Annotated[int, between(1, MAX_CPUS)]
    memory: Annotated[int, between(*MEMORY)]  # bytes
    disk: Annotated[int, between(1, MAX_DISK)]  # bytes
    os: Title = ""
    release: Title = ""
    sha256: Annotated[str, SHA256.fullmatch] = ""  # of the image it began as
    instance_id: Annotated[str, WORD.fullmatch]  # cloud-init's
    mac: Annotated[str, MAC.fullmatch]
    host_key: Annotated[str, HOST_KEY.fullmatch] = ""
    login_key: Annotated[str, at_most_long(3000)] = ""  # public; by which it lets its service in
    ssh_user: Annotated[str, USER.fullmatch] = ""
    firmware: Literal["bios", "uefi"] = "bios"


def header(name: str, size: int) -> bytes:
    """The block before a member's bytes."""
    import tarfile  # rarely needed, and it takes time and memory

    info = tarfile.TarInfo(name)
    info.size, info.mode = size, MODE
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """What follows a member's bytes."""
    return bytes(-size % BLOCK)


def member(block: bytes) -> tuple[str, int]:
    """Name and size of the member that a block announces. Raises NoExport."""
    import tarfile

    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise NoExport("it is cut off, or no tar archive") from error
    if info.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or info.name not in LIMITS:
        raise NoExport("it has a member that belongs to no exported instance")
    if not 0 <= info.size <= LIMITS[info.name]:
        raise NoExport(f"its {info.name} is too large")
    return info.name, info.size


def begins(block: bytes) -> bool:
    """Is this the first block of such a file?"""
    try:
        return member(block[:BLOCK])[0] == MANIFEST
    except NoExport:
        return False


def sums(digests: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()
