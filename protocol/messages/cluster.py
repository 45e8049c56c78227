"""Messages of `multipass.Cluster`, this project's own service: on which host an instance is.

`member` is a host of the cluster by its name there. What a driver of one host can't do is refused.
"""

from __future__ import annotations

from protocol.codec import Message, int32, string


class MoveRequest(Message):
    """The request of the call `move`."""

    instance_name: str = string(1)
    member: str = string(2)
    verbosity_level: int = int32(3)


class MoveReply(Message):
    """The reply of the call `move`."""

    log_line: str = string(1)
    reply_message: str = string(2)
