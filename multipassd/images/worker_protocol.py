"""The protocol of image workers, in JSON lines: a task, progress, and a final answer. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from multipassd.auth.peer import Credentials
from multipassd.images.image import Base, Image, Transfer

# Built at the first use: the daemon starts often, and needs workers seldom.
_DEFERRED = ConfigDict(defer_build=True)


class Refresh(BaseModel):
    """Fetch a remote's list, and write its images to `file` as a Listing."""

    model_config = _DEFERRED

    kind: Literal["refresh"] = "refresh"
    remote: str
    base: str
    mirror: str = ""
    insecure: bool = False
    file: str
    proxy: str = ""


class Describe(BaseModel):
    """Describe the image at an http, https or file URL. Answered by an Image."""

    model_config = _DEFERRED

    kind: Literal["look"] = "look"
    url: str
    proxy: str = ""
    caller: Credentials | None = None  # with whose rights a file is opened; None: it is not opened


class Prepare(BaseModel):
    """Fetch an image into the cache. Answered by a Base."""

    model_config = _DEFERRED

    kind: Literal["prepare"] = "prepare"
    image: Image
    directory: str
    proxy: str = ""
    caller: Credentials | None = None  # as above


Task = Refresh | Describe | Prepare
TASKS: TypeAdapter[Task] = TypeAdapter(
    Annotated[Task, Field(discriminator="kind")], config=_DEFERRED
)


class Listing(BaseModel):
    """A remote's images, and the URLs that they were listed at."""

    model_config = _DEFERRED

    base: str
    mirror: str = ""
    images: list[Image] = []


class Answer(BaseModel):
    """One line from the worker. The last one has `done` or `error`."""

    model_config = _DEFERRED

    progress: tuple[int, int] | None = None  # a kind of Progress, per cent
    transfer: Transfer | None = None  # only together with progress, for daemons that know only that
    done: bool = False
    image: Image | None = None
    base: Base | None = None
    error: str = ""
    no_room: bool = False
    unreachable: bool = False
