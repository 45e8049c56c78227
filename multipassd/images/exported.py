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
import tarfile
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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

MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
HOST_KEY = re.compile(r"(ssh-ed25519 [A-Za-z0-9+/=]{1,200})?")
USER = re.compile(r"([a-z_][a-z0-9_-]{0,31})?")
WORD = re.compile(r"[!-~]{1,128}")


class NoExport(ValueError):
    """It is no such file; the text is a clause that says why."""


def _name(text: str) -> str:
    if not names.valid(text) or len(text) > MAX_NAME:
        raise ValueError("no name of an instance")
    return text


def _matching(pattern: re.Pattern[str]) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError("not valid")
        return text

    return AfterValidator(check)


class Manifest(BaseModel):
    """What is known of the instance, but for what only its own host gives it: its cards on the
    host's networks, mounts and snapshots."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    format: Literal["multipass-export"] = "multipass-export"
    version: Literal[1] = 1
    name: Annotated[str, AfterValidator(_name)]
    cpus: Annotated[int, Field(ge=1, le=255)]
    memory: Annotated[int, Field(ge=128 << 20, le=1 << 50)]  # bytes
    disk: Annotated[int, Field(gt=0, le=1 << 50)]  # bytes
    os: Annotated[str, Field(max_length=100)] = ""
    release: Annotated[str, Field(max_length=100)] = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{0,64}$")] = ""  # of the image it began as
    instance_id: Annotated[str, _matching(WORD)]  # cloud-init's
    mac: Annotated[str, _matching(MAC)]
    host_key: Annotated[str, _matching(HOST_KEY)] = ""
    login_key: Annotated[str, Field(max_length=3000)] = (
        ""  # public; by which it lets its service in
    )
    ssh_user: Annotated[str, _matching(USER)] = ""
    firmware: Literal["bios", "uefi"] = "bios"


def header(name: str, size: int) -> bytes:
    """The block before a member's bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, MODE
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """What follows a member's bytes."""
    return bytes(-size % BLOCK)


def member(block: bytes) -> tuple[str, int]:
    """Name and size of the member that a block announces. Raises NoExport."""
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
