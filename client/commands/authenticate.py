"""`multipass authenticate`: authenticate this client to the service by the passphrase."""

from __future__ import annotations

import os

from client import messages, rpc
from client.command import Argument, Command
from client.errors import SUCCESS, Status, StatusError, UsageError
from client.session import Session
from client.terminal import console, prompts
from protocol.addresses import UnixAddress
from protocol.messages.access import AuthenticateReply, AuthenticateRequest

DESCRIPTION = """Authenticate with the Multipass service.
A system administrator should provide you with a passphrase
to allow use of the Multipass service."""


def run(session: Session) -> int:
    given = session.line.positionals
    if len(given) > 1:
        raise UsageError(messages.TOO_MANY_ARGUMENTS)
    if not given and _is_local_root(session) and _authenticated_as_root(session):
        console.line_out(messages.ROOT_AUTHENTICATED)
        return SUCCESS
    passphrase = given[0] if given else _ask(session)
    if not passphrase:
        raise UsageError(messages.NO_PASSPHRASE)
    if passphrase.strip().startswith("mpi1-") and not _is_local(session):
        from client.remotes import joining

        joining.authenticate(session, passphrase)
    else:
        _authenticate(session, passphrase)
    return SUCCESS


def _is_local_root(session: Session) -> bool:
    return os.geteuid() == 0 and _is_local(session)


def _is_local(session: Session) -> bool:
    return isinstance(session.address(), UnixAddress)


def _authenticated_as_root(session: Session) -> bool:
    """Try without passphrase: the service lets root in without one, a service of 1.16 does not."""
    try:
        _authenticate(session, "")
    except StatusError as error:
        if error.status in (Status.INVALID_ARGUMENT, Status.FAILED_PRECONDITION):
            return False
        raise
    return True


def _ask(session: Session) -> str:
    if not _is_local(session) and not session.names_roots():
        from client import remote_messages

        # Only an invitation tells by what the service is known.
        return prompts.ask_secretly(remote_messages.ENTER_LINE)
    session.channel().check()  # verify the service before asking for the passphrase
    return prompts.ask_secretly(messages.ENTER_PASSPHRASE)


def _authenticate(session: Session, passphrase: str) -> None:
    request = AuthenticateRequest(passphrase=passphrase, verbosity_level=session.verbosity)
    rpc.call(session, "authenticate", request, AuthenticateReply)


COMMAND = Command(
    "authenticate",
    DESCRIPTION,
    run,
    aliases=("auth",),
    syntax="[<passphrase>]",
    arguments=(
        Argument(
            "passphrase",
            "Passphrase to register with the Multipass service. If omitted, a prompt will be "
            "displayed for entering the passphrase.",
        ),
    ),
)
