"""The record of an instance, i.e. what is known of it on disk: one file each, written whole."""

from __future__ import annotations

import time
from enum import Enum
from errno import ELOOP
from json import JSONDecodeError
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from multipassd.network.interface import Cards, HostCard
from protocol import names

CUT_OFF = "it is cut off or not JSON"
FORMAT: Final = 1  # of the file; a later one is left alone by this release


class Phase(Enum):
    """What an instance was doing when it was last written down; what it does now only the driver
    knows."""

    STOPPED = "stopped"
    RUNNING = "running"  # to be started again after the host's next boot
    SUSPENDED = "suspended"


def _valid_name(name: str) -> str:
    if not names.valid(name):
        raise ValueError("no valid instance name")
    return name


Name = Annotated[str, AfterValidator(_valid_name)]


class Network(BaseModel):
    """A card beside the first one, on a network of the host."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    mac: str
    configured: bool = True  # the guest sets it up by DHCP; False: left to its user


class ImageOrigin(BaseModel):
    """The image that an instance was launched from."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str  # names the kept base that the disk stands on
    sha256: str = ""  # of the image as it was published
    os: str = ""
    release: str = ""


class Record(BaseModel):
    """Replaced, never changed in place: `record.model_copy(update=…)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    format: Literal[1] = FORMAT
    name: Name
    instance_id: str  # cloud-init's; never changes
    image: ImageOrigin
    hardware: dict[str, str]  # the driver's own, see `drivers.interface.Hardware`
    cpus: Annotated[int, Field(ge=1)]
    memory: Annotated[int, Field(gt=0)]  # bytes
    disk: Annotated[int, Field(gt=0)]  # bytes
    mac: str
    networks: tuple[Network, ...] = ()
    ssh_port: int = 0  # of user networking; 0 on a bridge
    host_key: str  # what a client pins: "ssh-ed25519 AAAA…"
    phase: Phase = Phase.STOPPED
    boot: str = ""  # of the host, when it was last started; one that ran is started in the next
    deleted: bool = False
    stop_at: float = 0.0  # a delayed stop is due then, seconds since 1970; 0: none
    ready: bool = False  # its first boot was seen to be complete
    created: float = Field(default_factory=time.time)  # seconds since 1970
    ended_because: str = ""  # why it stopped last, if not as asked

    @property
    def cards(self) -> Cards:
        others = tuple(HostCard(each.name, each.mac) for each in self.networks)
        return Cards(self.name, self.mac, others, self.ssh_port)


def record_of(text: bytes) -> Record:
    """Raises ValueError."""
    return Record.model_validate_json(text)


def text_of(record: Record) -> bytes:
    return record.model_dump_json(indent=1).encode() + b"\n"


def reason_of(error: OSError | ValueError) -> str:
    """Why a record could not be read: a clause for a sentence."""
    if isinstance(error, ValidationError):
        return _invalid(error.errors(include_url=False)[0])
    if isinstance(error, JSONDecodeError | UnicodeDecodeError):
        return CUT_OFF
    if isinstance(error, OSError):
        return "it is a symbolic link" if error.errno == ELOOP else error.strerror or str(error)
    return str(error)


def _invalid(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "json_invalid":
        return CUT_OFF if error["input"] else "it is empty"
    if not where:
        return "it holds no JSON object"
    if error["type"] == "missing":
        return f"it lacks {where}"
    if error["type"] == "extra_forbidden":
        return f"it has {where}, which is unknown"
    return f"its {where} is not valid"
