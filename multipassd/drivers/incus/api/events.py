"""What happens on the cluster, as it tells: instances that change, operations that go on.

Incus repeats no event: what happened while no connection was there must be listed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from multipassd.drivers.incus.api import errors
from multipassd.drivers.incus.api.client import Api

# Incus answers pings; one whose answer is missing for half of this ends the connection.
HEARTBEAT_SECONDS = 20.0
CONNECTED, LIFECYCLE, OPERATION = "connected", "lifecycle", "operation"
WHAT = "tell what happens on it"


@dataclass(frozen=True)
class Event:
    """`kind`: LIFECYCLE, OPERATION, or CONNECTED, the first of each connection.

    `action`: of a lifecycle "instance-started" and so on; of an operation its status, "Running",
    "Success", "Failure". `source`: the path that it is about, without a query; `name`: the
    instance's, empty where it is about none; of an operation the first instance's. `location`: the
    member. `fields`: all that Incus tells, as it tells it.
    """

    kind: str
    action: str = ""
    source: str = ""
    name: str = ""
    location: str = ""
    fields: Mapping[str, Any] | None = None


async def events(api: Api) -> AsyncGenerator[Event, None]:
    """Until the connection ends, which raises Unreachable. Events come from CONNECTED on, so
    a listing that begins then misses nothing. Raises IncusError."""
    opened = api.websocket(
        "/1.0/events",
        heartbeat=HEARTBEAT_SECONDS,
        what=WHAT,
        type=f"{LIFECYCLE},{OPERATION}",
    )
    async with opened as socket:
        yield Event(CONNECTED)
        why: object
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                if (event := read(message.data)) is not None:
                    yield event
            why = socket.exception() or f"it was closed ({socket.close_code})"
        except (aiohttp.ClientError, OSError) as error:  # of the answer to a ping
            why = error
    raise errors.Unreachable(f"The event connection to Incus ended: {errors.shown(why)}.")


def read(text: str) -> Event | None:
    """None for what is no event of these kinds."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(fields := found.get("metadata"), dict):
        return None
    location = _text(found, "location")
    if found.get("type") == LIFECYCLE:
        source = _text(fields, "source").partition("?")[0]
        return Event(
            LIFECYCLE, _text(fields, "action"), source, _instance(source), location, fields
        )
    if found.get("type") == OPERATION:
        source = f"/1.0/operations/{_text(fields, 'id')}"
        name = _instance(_first_resource(fields))
        return Event(OPERATION, _text(fields, "status"), source, name, location, fields)
    return None


def _instance(path: str) -> str:
    """The name in /1.0/instances/NAME, and in what is below it."""
    parts = urlsplit(path).path.split("/")
    return unquote(parts[3]) if parts[:3] == ["", "1.0", "instances"] and len(parts) > 3 else ""


def _first_resource(fields: Mapping[str, Any]) -> str:
    resources = fields.get("resources")
    found = resources.get("instances") if isinstance(resources, dict) else None
    return found[0] if isinstance(found, list) and found and isinstance(found[0], str) else ""


def _text(fields: Mapping[str, Any], name: str) -> str:
    found = fields.get(name)
    return found if isinstance(found, str) else ""
