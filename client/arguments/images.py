"""What an instance is made of, as `launch` takes it: an image of a remote or of any, or a URL."""

from __future__ import annotations

import os

from client import instance_messages
from client.errors import UsageError

WEB = ("http://", "https://")
FILE = "file://"
PATHS = ("/", "./", "../", "~")  # the beginnings of a path; no image's name begins with one
DISKS = (".img", ".qcow2", ".raw", ".xz", ".zst")


def parse(given: str) -> tuple[str, str]:
    """The remote and the image, or a URL. Raises UsageError."""
    if given.lower().startswith(WEB):
        return "", given
    if given.lower().startswith(FILE):
        path = given[len(FILE) :]
        if path.startswith("~"):
            raise UsageError(instance_messages.unexpanded_home(FILE + os.path.expanduser(path)))
        # The service has another working directory.
        return "", FILE + os.path.abspath(path)
    if given.startswith(PATHS) or (given.endswith(DISKS) and os.path.isfile(given)):
        url = FILE + os.path.abspath(os.path.expanduser(given))
        raise UsageError(instance_messages.path_instead_of_url(given, url))
    remote, colon, image = given.partition(":")
    if ":" in image:
        raise UsageError(instance_messages.BAD_IMAGE_NAME)
    return (remote, image) if colon else ("", remote)
