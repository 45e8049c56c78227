"""Messages of `multipass.Images`, this project's own service: how far downloads of images are.

`received` are bytes of the file that are there, `size` is 0 where nobody told it. `fetched` are
those that came over the network since the download was begun or taken up again, so that it only
grows; a rate is told from it. `instance_name` are the instances being launched that wait for it.
"""

from __future__ import annotations

from protocol.codec import Message, int64, message, repeated, string


class Download(Message):
    instance_name: list[str] = repeated(string(1))
    received: int = int64(2)
    size: int = int64(3)
    fetched: int = int64(4)


class DownloadsRequest(Message):
    pass


class DownloadsReply(Message):
    downloads: list[Download] = repeated(message(1, Download))
