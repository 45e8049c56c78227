"""Questions of an inspection to the cluster, each with a short limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multipassd.drivers.incus.api.client import Api

CALL_SECONDS = 5.0


async def ask(api: Api, path: str, what: str, **query: str) -> Mapping[str, Any]:
    """What Incus tells of one thing; empty where that is no object. Raises IncusError."""
    return mapping(await api.get(path, seconds=CALL_SECONDS, what=what, **query))


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def environment(server: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(server.get("environment"))
