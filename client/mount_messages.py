"""User-visible messages about mounts; others are in `client/messages.py`. Texts of 1.16."""

from __future__ import annotations

NOT_ENOUGH = "Not enough arguments given"
SKIPPING = "Skipping mount due to disabled mounts feature"

OVER_TCP = "a directory of this machine can't be mounted over TCP"
SKIPPING_OVER_TCP = "Skipping mount, as directories of this machine can't be mounted over TCP"


def over_tcp(server: str) -> str:
    return (
        f"What the service at {server} mounts are directories of its own host, with the rights of "
        "a user there, and over TCP it is not known which. `multipass transfer -r` copies files to "
        "an instance and back; on the host of the service `multipass mount` works over its socket."
    )


def unusable(path: str, why: str, what: str = "Source") -> str:
    """`why`: a clause about the path; `what` begins the sentence."""
    return f'{what} path "{path}" {why}'


def bad_map(which: str, given: str) -> str:
    return f"Invalid {which} map given: {given}"


def bad_id(given: str) -> str:
    return f"{given} is an invalid id"


def bad_type(given: str) -> str:
    return f"error: Bad mount type '{given}' specified, please use 'classic' or 'native'"


def mounted(source: str, name: str, target: str) -> str:
    return f"Mounted '{source}' into '{name}:{target}'"
