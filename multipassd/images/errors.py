"""Errors of images. Sentences that scripts compare are those of Multipass 1.16."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import RpcError
from protocol.status import Status

# What to do where a disk was named and the service makes containers.
MACHINES = (
    "`multipass set local.incus.type=virtual-machine` makes the next instances virtual machines, "
    "which have disks."
)


class ImageError(RpcError):
    """The image is not available, for a reason outside this service."""

    status = Status.FAILED_PRECONDITION


class Unreachable(ImageError):
    """The server did not answer, or is overloaded: a later try may succeed."""


class OverTcp(ImageError):
    """A file of the host was requested over TCP, where the caller is no user of this host with
    whose rights it could be opened."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"`{url}` is a file of the service's host, which is opened with the rights of the user "
            "who calls there; over TCP it is not known who that is. Copy the file to that host and "
            "name it there, over the service's socket, or offer an image by http:// or https://."
        )


class UnknownRemote(RpcError):
    """There is no remote of this name."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, remote: str) -> None:
        super().__init__(
            f"Remote '{remote}' is not found. "
            "Please use `multipass find` for supported remotes and images."
        )


class UnknownImage(RpcError):
    """No list has such an image."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, image: str, remote: str) -> None:
        super().__init__(f'Unable to find an image matching "{image}" in remote "{remote}".')


class NotFoundSoFar(RpcError):
    """No list has such an image, but some lists could not be fetched."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, image: str, failures: Sequence[RemoteUnreachable]) -> None:
        text = f'Unable to find an image matching "{image}" in remote "".'
        super().__init__(
            "\n".join([text, "It may be misspelt, or in a list that could not be fetched:"])
            + "".join(f"\n{failure.message}" for failure in failures)
        )


class NoContainerForm(RpcError):
    """The image is listed as a disk alone, and a container is to be made of it."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, image: str) -> None:
        super().__init__(
            f'The image "{image}" has no container form: its remote has a disk of it alone. '
            f"Containers can be made of what `multipass find` lists. {MACHINES}"
        )


class NoUrl(RpcError):
    """A path was given where a file:// URL is needed."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, path: str) -> None:
        super().__init__(
            f"`{path}` is the path of a file. To launch a file of this host, write file:// and its "
            "whole path, as in file:///home/alice/disk.img."
        )


class AmbiguousImage(RpcError):
    """The beginning of an id matches several images."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, image: str) -> None:
        super().__init__(f'Too many images matching "{image}"')


class NoImageNamed(RpcError):
    """A remote was given without an image."""

    status = Status.INVALID_ARGUMENT
    sentence = "Must specify an image when specifying a remote"


class RemoteUnreachable(ImageError):
    """A remote's list could not be fetched, and there is no older one."""

    def __init__(self, remote: str, why: str) -> None:
        super().__init__(
            f'Remote "{remote}" is unknown or unreachable. {why} Check the network and, if they '
            "are in use, local.image.mirror and the [images] section of multipassd.conf."
        )


class NothingListed(ImageError):
    """`find` has no images of a remote to show."""

    def __init__(self, remote: str, why: str = "") -> None:
        text = f'Unable to find images for remote "{remote}"'
        super().__init__(f"{text}\n{why}" if why else text)


class Refused(ImageError):
    """The fetched file is not the image, or can't be launched: another try would fetch the same."""


class NotContainers(Refused):
    """A disk was given where the service makes containers."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"The image is refused: it is {found}, for virtual machines, and this service makes "
            "containers. Launch a squashfs, a tar archive of a root file system, or an image for "
            f"containers as `incus image export` writes it. {MACHINES}"
        )


class NotMachines(Refused):
    """A root file system was given where the service makes virtual machines."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"The image is refused: it is {found}, which containers are made of, and this service "
            "makes virtual machines. Launch a disk, qcow2 or raw; xz and zstd are unpacked."
        )


class HashMismatch(Refused):
    """The fetched file has another hash than the list says."""

    def __init__(self, file: str, wanted: str, found: str, url: str, remote: str) -> None:
        super().__init__(
            f"Hash of {file} does not match {wanted}\n"
            f'The list of remote "{remote}" has that hash, and the file from {url} has {found}. '
            "The server may be changing to a new version, or a proxy may return another file. The "
            "file was removed. Try again later, or launch another image (`multipass find "
            f"{remote}:` lists them)."
        )


class RefusedBefore(Refused):
    """The image was refused a short time ago, so it was not fetched again."""

    def __init__(self, message: str, minutes: int) -> None:
        super().__init__(
            f"{message}\nThat was found before, so it was not fetched again. It will be in "
            f"{minutes} min, or at once when its server names another file or after "
            "`multipass find --force-update`."
        )


class NoRoom(RpcError):
    """The disk is full; what was written has been removed."""

    status = Status.RESOURCE_EXHAUSTED
