"""Show the progress that a call reports, with a spinner."""

from __future__ import annotations

from client import rpc
from client.terminal.spinner import Spinner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.rpc import Reply
    from client.session import Session
    from client.transport.channel import Channel
    from protocol.codec import Message


def follow(
    session: Session,
    method: str,
    request: Message,
    kind: type[Reply],
    doing: str,
    channel: Channel | None = None,
) -> Reply:
    """The last reply. Raises CommandFailed."""
    reply = kind()
    with Spinner(doing) as spinner:
        for reply in rpc.stream(session, method, request, kind, channel, spinner.log):
            if text := getattr(reply, "reply_message", ""):
                spinner.show(text)
    return reply
