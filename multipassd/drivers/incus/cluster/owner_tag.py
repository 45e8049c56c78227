"""Whose an instance of the cluster is: config keys that a daemon gives to what it makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

DAEMON = "user.multipass.daemon"  # the id of the daemon that made it, see `api/membership.py`
COPIED = "user.multipass.copied"  # its disk is a copy of another instance's
RECORD = "user.multipass.record"  # what its service publishes of it, if it shares it
PREFIX = "user.multipass."


def of(config: Mapping[str, object]) -> str:
    """The id of the daemon that it belongs to; empty for what no daemon of ours made."""
    found = config.get(DAEMON)
    return found if isinstance(found, str) else ""
