"""The JSON files of Multipass 1.16, as far as they are read. Unknown fields are passed over. Pure.

They are written by root's daemon, but may be damaged or come from a backup of anywhere.
"""

from __future__ import annotations

import json
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from multipassd.instances.records import record
from multipassd.models.invalid import LACKS, Invalid
from protocol import sizes

SUSPENDED = 7  # the state numbers of the files, not those of the wire
STATES = {
    0: "Stopped", 1: "Stopped", 2: "Starting", 3: "Restarting", 4: "Running",
    5: "Delayed Shutdown", 6: "Suspending", SUSPENDED: "Suspended",
}  # fmt: skip
NATIVE = 1
MAX_ID = (1 << 32) - 2  # of users; the last number means none
MAX_COUNT = 10_000
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
USER = re.compile(r"([a-z_][a-z0-9_-]{0,31})?")  # of logins; it becomes a word of ssh's
DIGEST = re.compile(r"[0-9a-f]{0,64}")
MAX_RELEASE, MAX_COMMENT = 100, 4096  # characters; the latter as of snapshots taken here
NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}")  # the name of a host's interface
LOOSE = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True, defer_build=True)


def _mac(text: str) -> str:
    if text and not MAC.fullmatch(text.lower()):
        raise ValueError("no MAC address")
    return text.lower()


def _size(text: str) -> str:
    """Empty, or a size with or without a unit."""
    if text:
        try:
            sizes.parse(text)
        except sizes.SizeError:
            raise ValueError("no size") from None
    return text


def _network(text: str) -> str:
    if not NETWORK.fullmatch(text):
        raise ValueError("no name of a network")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable():
        raise ValueError("no absolute path")
    return text


def _user(text: str) -> str:
    if not USER.fullmatch(text):
        raise ValueError("no name of a user")
    return text


def _digest(text: str) -> str:
    return text if DIGEST.fullmatch(text) else ""


def _shown(text: str) -> str:
    """Fit for a terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)


Mac = Annotated[str, AfterValidator(_mac)]
Size = Annotated[str, AfterValidator(_size)]
Number = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Id = Annotated[int, Field(ge=-1, le=MAX_ID)]


class OldNetwork(BaseModel):
    """A card on a network of the host."""

    model_config = LOOSE

    id: Annotated[str, AfterValidator(_network)]
    mac_address: Mac = ""
    auto_mode: bool = True


class OldUid(BaseModel):
    """Of the host and in the instance; -1: its login user."""

    model_config = LOOSE

    host_uid: Id
    instance_uid: Id


class OldGid(BaseModel):
    """The same for groups."""

    model_config = LOOSE

    host_gid: Id
    instance_gid: Id


class OldMount(BaseModel):
    """A directory of the host in the instance."""

    model_config = LOOSE

    target_path: Annotated[str, Field(min_length=1)]
    source_path: Annotated[str, AfterValidator(_path)]
    uid_mappings: tuple[OldUid, ...] = ()
    gid_mappings: tuple[OldGid, ...] = ()
    mount_type: int = 0


class OldSnapshot(BaseModel):
    """`snapshot` of NNNN.snapshot.json."""

    model_config = LOOSE

    name: str
    comment: Annotated[str, AfterValidator(lambda text: _shown(text)[:MAX_COMMENT])] = ""
    cloud_init_instance_id: str = ""
    parent: Number = 0
    index: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    creation_timestamp: str = ""
    num_cores: Number = 0
    mem_size: Size = ""
    disk_space: Size = ""
    extra_interfaces: tuple[OldNetwork, ...] = ()
    mounts: tuple[OldMount, ...] = ()


class OldInstance(BaseModel):
    """An instance in multipassd-vm-instances.json."""

    model_config = LOOSE

    num_cores: Number = 0
    mem_size: Size = ""
    disk_space: Size = ""
    ssh_username: Annotated[str, AfterValidator(_user)] = ""
    state: int = 0
    deleted: bool = False
    metadata: dict[str, JsonValue] = {}
    mac_addr: Mac = ""
    extra_interfaces: tuple[OldNetwork, ...] = ()
    mounts: tuple[OldMount, ...] = ()
    clone_count: Number = 0

    @property
    def is_ghost(self) -> bool:
        """Nothing of an instance is in it; 1.16 passes over it."""
        return not any(
            (self.num_cores, self.mem_size, self.disk_space, self.ssh_username, self.metadata,
             self.deleted)
        )  # fmt: skip


class OldImage(BaseModel):
    """`image` of an instance in multipassd-instance-image-records.json."""

    model_config = LOOSE

    path: Annotated[str, AfterValidator(_path)]
    id: Annotated[str, AfterValidator(_digest)] = ""
    original_release: Annotated[str, AfterValidator(lambda text: _shown(text)[:MAX_RELEASE])] = ""


def objects(text: bytes) -> dict[str, JsonValue]:
    """The members of a file's one object. Raises ValueError."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it holds no object")
    return found


def reason_of(error: OSError | ValueError) -> str:
    """Why a file can't be used: a clause for a sentence."""
    if not isinstance(error, ValidationError):
        return record.reason_of(error)
    first = error.errors(include_url=False)[0]
    place = tuple(str(part) for part in first["loc"])
    return str(Invalid(LACKS, place) if first["type"] == "missing" else Invalid(place=place))
