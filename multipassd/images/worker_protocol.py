"""What the daemon asks a worker, and what comes back: one JSON line each way and lines of progress
between. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from multipassd.auth.peer import Credentials
from multipassd.images.image import Base, Image, Transfer

# Built at the first use: the daemon starts often, and asks workers seldom.
_DEFERRED = ConfigDict(defer_build=True)


class Refresh(BaseModel):
    """Fetch a remote's list and leave what follows from it in `file`, as a Listing."""

    model_config = _DEFERRED

    kind: Literal["refresh"] = "refresh"
    remote: str
    base: str
    mirror: str = ""
    insecure: bool = False
    file: str
    proxy: str = ""


class Look(BaseModel):
    """What image is at this http, https or file URL? Answered by an Image."""

    model_config = _DEFERRED

    kind: Literal["look"] = "look"
    url: str
    proxy: str = ""
    caller: Credentials | None = None  # who opens a file; None: no file can be opened


class Prepare(BaseModel):
    """Bring an image into the cache. Answered by a Base."""

    model_config = _DEFERRED

    kind: Literal["prepare"] = "prepare"
    image: Image
    directory: str
    proxy: str = ""
    caller: Credentials | None = None  # as above


Task = Refresh | Look | Prepare
TASKS: TypeAdapter[Task] = TypeAdapter(
    Annotated[Task, Field(discriminator="kind")], config=_DEFERRED
)


class Listing(BaseModel):
    """A remote's images as they were found at these places."""

    model_config = _DEFERRED

    base: str
    mirror: str = ""
    images: list[Image] = []


class Answer(BaseModel):
    """One line from the worker. The last one has `done` or `error`."""

    model_config = _DEFERRED

    progress: tuple[int, int] | None = None  # what of Progress, percent
    transfer: Transfer | None = None  # beside progress, never alone: older daemons know only that
    done: bool = False
    image: Image | None = None
    base: Base | None = None
    error: str = ""
    no_room: bool = False
    unreachable: bool = False
