"""The versions of client and service. Pure."""

from __future__ import annotations

from client.render import CSV, JSON, TABLE
from protocol.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.messages.access import VersionReply
    from protocol.messages.common import UpdateInfo

LABEL_WIDTH = 12


def render(reply: VersionReply, form: str, remote: str = "") -> str:
    """`reply.version` is empty where the service did not answer; `remote` where it is local."""
    update = reply.update_info if reply.update_info and reply.update_info.version else None
    if form == TABLE:
        return _table(reply.version, update, remote)
    if form == CSV:
        return _csv(reply.version, update)
    document = _document(reply.version, update)
    if remote:
        document["remote"] = remote
    if form == JSON:
        from client.render import json

        return json.render(document)
    from client.render import yaml

    return yaml.render(document)


def _table(service: str, update: UpdateInfo | None, remote: str) -> str:
    text = f"{'multipass':<{LABEL_WIDTH}}{VERSION}\n"
    if service:
        text += f"{'multipassd':<{LABEL_WIDTH}}{service}\n"
    if remote:
        text += f"{'remote':<{LABEL_WIDTH}}{remote}\n"
    if update is not None:
        from client.render.update_notice import notice

        text += notice(update)
    return text


def _csv(service: str, update: UpdateInfo | None) -> str:
    about = (update.title, update.description, update.url) if update else ("", "", "")
    return f"Multipass,Multipassd,Title,Description,URL\n{','.join((VERSION, service, *about))}\n"


def _document(service: str, update: UpdateInfo | None) -> dict[str, str | dict[str, str]]:
    document: dict[str, str | dict[str, str]] = {"multipass": VERSION}
    if service:
        document["multipassd"] = service
    if update is not None:
        document["update"] = {
            "title": update.title,
            "description": update.description,
            "url": update.url,
        }
    return document
