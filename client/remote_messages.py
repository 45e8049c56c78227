"""User-visible messages about services on other machines."""

from __future__ import annotations

NEED_VERB = (
    "Say what to do: add, list, use or remove, for example: multipass remote add lab "
    "lab.example:50051"
)
NEED_NAME_AND_ADDRESS = (
    "Name the remote and its address, for example: multipass remote add lab lab.example:50051"
)
FORMAT_IS_FOR_LIST = "--format is for `multipass remote list`."
LIST_TAKES_NO_ARGUMENTS = "`multipass remote list` takes no arguments."
NEED_NAME = "Name exactly one remote; `multipass remote list` shows them."
ENTER_LINE = "Please enter the invitation: "
NO_LINE = (
    "This client is not trusted there yet, so an invitation is needed: ask the administrator of "
    "that service for one."
)
BAD_NAME = (
    "A remote's name has 1 to 32 lower-case letters, digits, dots, underscores and hyphens, a "
    "letter first."
)
LOCAL_IS_THIS = "'local' is this machine's own service; give the remote another name."
NOT_OVER_TCP = "A remote's address is <host>:<port>, for example lab.example:50051."
LINE_NOT_WHOLE = (
    "This is not the whole invitation, so nothing was sent: copy the line again, from its "
    "beginning to its end."
)
UNREADABLE_HINT = (
    "It says which service commands talk to, so nothing was done. Repair the file or move it "
    "away; with MULTIPASS_SERVER_ADDRESS and MULTIPASS_ROOT_CERT commands do without it."
)
NO_CERTIFICATES = "there is none, or there are more than a service needs"
UNWRITABLE_HINT = "Nothing was changed there. Make the directory writable, then repeat this."
ENVIRONMENT_FIRST = (
    "MULTIPASS_SERVER_ADDRESS is set: it goes before the remote in use, and names the service "
    "that commands talk to."
)
USES_LOCAL = "Commands talk to this machine's service now."


def unreadable(path: str, why: str) -> str:
    return f"the remotes in {path} can't be read: {why}"


def unwritable(path: str, why: str) -> str:
    return f"the remotes in {path} can't be changed: {why}"


def no_pin(server: str) -> str:
    return (
        f"Nothing says by which certificate {server} is known, so nothing was sent. An invitation "
        "does, if it is copied to its end; else name a copy of the service's "
        "multipass_root_cert.pem in MULTIPASS_ROOT_CERT."
    )


def other_server(server: str) -> str:
    return (
        f"The invitation is of another service than the one that answers at {server}: nothing of "
        "it was sent, and it can still be used. Check the address with the person who made it."
    )


def says_no_certificate(server: str) -> str:
    return (
        f"What answers at {server} does not name its certificate, so the invitation is of another "
        "service: nothing of it was sent, and it can still be used."
    )


def cannot_read_certificates(why: str) -> str:
    return f"the service's certificate can't be read: {why}"


def too_many(most: int) -> str:
    return f"{most} remotes are kept already. `multipass remote remove` forgets some."


def name_taken(shown: str) -> str:
    return f"There is a remote {shown} already. `multipass remote remove` forgets it."


def address_taken(shown: str) -> str:
    return f"That address is kept already, as the remote {shown}."


def unknown(name: str) -> str:
    if name == "local":
        return "'local' is this machine's service, which is no remote and can't be removed."
    return f"There is no remote '{name}'. `multipass remote list` shows those that there are."


def added(shown: str, name: str, used: bool) -> str:
    trusted = "" if used else " This client was trusted there already, so no invitation was used."
    return (
        f"{shown} is kept.{trusted}\n`multipass remote use {name}` has commands talk to it from "
        "now on."
    )


def uses(shown: str) -> str:
    return f"Commands talk to {shown} now; `multipass remote use local` goes back."


def removed(shown: str, was_default: bool) -> str:
    back = f" {USES_LOCAL}" if was_default else ""
    return (
        f"{shown} is forgotten. That takes no trust back: `multipass revoke` on that service does."
        f"{back}"
    )


def where(server: str) -> str:
    return f"(remote {server}; `multipass remote use local` goes back to this machine's service)"
