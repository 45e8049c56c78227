"""Notices on stderr beside a command's result."""

from __future__ import annotations

from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.messages.common import UpdateInfo


def update(info: UpdateInfo | None) -> None:
    """Announce a newer release, on terminals only."""
    if info is not None and console.is_live():
        from client.render.update_notice import notice

        console.out(notice(info))
