"""Whose an instance of the cluster is: config keys that a daemon gives to what it makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from multipassd.drivers.incus.api.membership import OWNER_TAG

DAEMON = OWNER_TAG  # the id of the daemon that made it
# Its name: a copy that is made with `incus` has the same tags, and belongs to who made it.
NAME = "user.multipass.name"
# It was made of an image and not started yet. A copy of what has run, also by hand, has none.
NEW = "user.multipass.new"
RECORD = "user.multipass.record"  # what its service publishes of it, if it shares it
PREFIX = "user.multipass."


def tags(daemon: str, name: str) -> dict[str, str]:
    """What a daemon gives to an instance of its own."""
    return {DAEMON: daemon, NAME: name}


def of(config: Mapping[str, object], name: str) -> str:
    """The id of the daemon that the instance `name` belongs to; empty for what no daemon of ours
    made, and for copies and others that were given another name since."""
    found = config.get(DAEMON)
    return found if isinstance(found, str) and config.get(NAME) == name else ""
