"""What Incus answers, taken apart: the envelope of every answer, and operations. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from multipassd.drivers.incus.api import errors
from multipassd.drivers.incus.api.members import Answer

MAX_VALUES = 600_000  # in an answer; an instance has some 300

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def envelope(answer: Answer, what: str) -> dict[str, Any]:
    """Raises the error that the answer tells of."""
    if sum(map(answer.body.count, (b"{", b"[", b","))) > MAX_VALUES:
        raise errors.bad_answer(what, f"it has over {MAX_VALUES} values")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        if answer.status >= 400:
            raise errors.failure(what, answer.status, "")
        raise errors.bad_answer(what, "it is no JSON object")
    if answer.status >= 400 or found.get("type") == "error":
        code = found.get("error_code")
        code = code if isinstance(code, int) and code >= 400 else answer.status
        raise errors.failure(what, code, found.get("error") or "")
    if answer.status >= 300:
        raise errors.bad_answer(what, f"it has status {answer.status}")
    return found


def operation(envelope: Mapping[str, Any], what: str) -> dict[str, Any] | None:
    """None where the call was done when it answered. By its id: its path has a query."""
    if envelope.get("type") != "async":
        return None
    found = envelope.get("metadata")
    if not isinstance(found, dict) or not _ID.fullmatch(str(found.get("id"))):
        raise errors.bad_answer(what, "its operation has no id")
    return found


def has_ended(found: object, what: str) -> bool:
    """Raises the error of one that failed."""
    code = found.get("status_code") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(code, int):
        raise errors.bad_answer(what, "it does not tell how the operation goes")
    if code == 200:
        return True
    if code >= 400:
        raise errors.failure(what, 0, found.get("err") or found.get("status") or "it failed")
    return False


def is_clustered(server: object) -> bool:
    """By what a server tells about itself, at /1.0."""
    environment = server.get("environment") if isinstance(server, dict) else None
    return isinstance(environment, dict) and environment.get("server_clustered") is True
