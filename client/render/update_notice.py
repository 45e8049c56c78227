"""The notice that a newer release exists. Pure."""

from __future__ import annotations

from client import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.messages.common import UpdateInfo

LEAST_WIDTH = 50


def notice(update: UpdateInfo) -> str:
    if not update.version:
        return ""
    lines = [
        update.title,
        *update.description.split("\n"),
        "",
        messages.more_information(update.url),
    ]
    rule = "#" * max(LEAST_WIDTH, *map(len, lines))
    return "\n".join(("", rule, *lines, rule, ""))
