"""What asking for an image can fail with. Sentences that scripts compare are Multipass 1.16's."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import RpcError
from protocol.status import Status


class ImageError(RpcError):
    """The image can't be had, for a reason outside of this service."""

    status = Status.FAILED_PRECONDITION


class Unreachable(ImageError):
    """No answer, or one that says to come again: trying later may help."""


class OverTcp(ImageError):
    """Who calls over TCP is no user of this host, whose rights a file could be opened with."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"The image `{url}` is a file of the service's host, which is opened with the rights "
            "of the user who calls there. Over TCP that is no user of that host: launch it on the "
            "host itself, over its Unix socket, or offer it by http:// or https://."
        )


class UnknownRemote(RpcError):
    status = Status.INVALID_ARGUMENT

    def __init__(self, remote: str) -> None:
        super().__init__(
            f"Remote '{remote}' is not found. "
            "Please use `multipass find` for supported remotes and images."
        )


class UnknownImage(RpcError):
    status = Status.INVALID_ARGUMENT

    def __init__(self, image: str, remote: str) -> None:
        super().__init__(f'Unable to find an image matching "{image}" in remote "{remote}".')


class NotFoundSoFar(RpcError):
    """No list that could be had knows the image; others could not be had."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, image: str, failures: Sequence[RemoteUnreachable]) -> None:
        text = f'Unable to find an image matching "{image}" in remote "".'
        super().__init__(
            "\n".join([text, "It may be misspelt, or in a list that could not be had:"])
            + "".join(f"\n{failure.message}" for failure in failures)
        )


class NoUrl(RpcError):
    status = Status.INVALID_ARGUMENT

    def __init__(self, path: str) -> None:
        super().__init__(
            f"`{path}` is the path of a file. To launch a file of this host, write file:// and its "
            "whole path, as in file:///home/alice/disk.img."
        )


class AmbiguousImage(RpcError):
    status = Status.INVALID_ARGUMENT

    def __init__(self, image: str) -> None:
        super().__init__(f'Too many images matching "{image}"')


class NoImageNamed(RpcError):
    status = Status.INVALID_ARGUMENT
    sentence = "Must specify an image when specifying a remote"


class RemoteUnreachable(ImageError):
    def __init__(self, remote: str, why: str) -> None:
        super().__init__(
            f'Remote "{remote}" is unknown or unreachable. {why} Check the network and, if they '
            "are in use, local.image.mirror and the [images] section of multipassd.conf."
        )


class NothingListed(ImageError):
    def __init__(self, remote: str, why: str = "") -> None:
        text = f'Unable to find images for remote "{remote}"'
        super().__init__(f"{text}\n{why}" if why else text)


class Refused(ImageError):
    """What was fetched is not the image, or none to launch: another try would fetch the same."""


class HashMismatch(Refused):
    def __init__(self, file: str, wanted: str, found: str, url: str, remote: str) -> None:
        super().__init__(
            f"Hash of {file} does not match {wanted}\n"
            f'The list of remote "{remote}" promises that hash, and what came from {url} has '
            f"{found}. The server may be between two versions, or something on the way to it gives "
            "out another file. What came was removed. Try again later, or launch another image "
            f"(`multipass find {remote}:` lists them)."
        )


class RefusedBefore(Refused):
    def __init__(self, message: str, minutes: int) -> None:
        super().__init__(
            f"{message}\nThat was found before, so it was not fetched again. It will be in "
            f"{minutes} min, or at once when its server names another file or after "
            "`multipass find --force-update`."
        )


class NoRoom(RpcError):
    """The disk took no more; what was written has been removed."""

    status = Status.RESOURCE_EXHAUSTED
