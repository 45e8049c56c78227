"""Messages of `multipass.Exports`, this project's own service: an instance as one file.

`export` streams the file: `size` of the whole, once it is known, then `data` in order. `step` tells
what is done until then. `import` makes an instance of such a file on the service's host, `url`, and
replies as a launch does.
"""

from __future__ import annotations

from protocol.codec import Message, binary, boolean, int32, int64, string


class ExportRequest(Message):
    """The request of the call `export`."""

    instance_name: str = string(1)
    verbosity_level: int = int32(2)


class ExportReply(Message):
    """A part of the file, or what is done before the first."""

    log_line: str = string(1)
    step: str = string(2)
    size: int = int64(3)
    data: bytes = binary(4)


class ImportRequest(Message):
    """The request of the call `import`; its replies are LaunchReply."""

    url: str = string(1)
    instance_name: str = string(2)
    as_is: bool = boolean(3)
    verbosity_level: int = int32(4)
