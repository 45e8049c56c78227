"""Messages of `multipass.Images`, this project's own service: the progress of image downloads.

All sizes are bytes. `received`: the part of the file that is on disk. `size`: the whole file, 0 if
the server did not say. `fetched`: bytes from the network since the download was begun or resumed;
it never decreases, so a rate can be computed from it. `instance_name`: the instances being launched
that wait for the download.
"""

from __future__ import annotations

from protocol.codec import Message, int64, message, repeated, string


class Download(Message):
    """The state of one download of an image; all sizes in bytes."""

    instance_name: list[str] = repeated(string(1))
    received: int = int64(2)
    size: int = int64(3)
    fetched: int = int64(4)


class DownloadsRequest(Message):
    """The request of the call `downloads`."""


class DownloadsReply(Message):
    """The reply of the call `downloads`."""

    downloads: list[Download] = repeated(message(1, Download))
