"""`multipass version`: show the client's version, and the service's if it answers.

For diagnosis: works without service, certificate and home. It calls `ping` first, which enrols no
client.
"""

from __future__ import annotations

import time

from client import messages, render, rpc
from client.arguments.commandline import FORMAT
from client.command import Command
from client.errors import SUCCESS, CommandFailed, UsageError
from client.session import IF_PRESENT, Session
from client.terminal import console
from protocol.messages.access import VersionReply, VersionRequest

ANSWER_WITHIN = 5.0  # seconds


def run(session: Session) -> int:
    line = session.line
    if line.positionals:
        raise UsageError(messages.TAKES_NO_ARGUMENTS)
    form = render.form(line.value("format", render.TABLE))
    from client.render import versions

    console.out(versions.render(_ask_service(session), form, session.remote))
    return SUCCESS


def _ask_service(session: Session) -> VersionReply:
    """An empty reply if the service can't be reached or refuses."""
    deadline = time.monotonic() + ANSWER_WITHIN
    request = VersionRequest(verbosity_level=session.verbosity)
    try:
        session.server().connect_within = ANSWER_WITHIN
        channel = session.channel(IF_PRESENT, patience=0, deadline=deadline)
        rpc.ping(channel)
        return rpc.call(session, "version", request, VersionReply, channel)
    except CommandFailed:
        return VersionReply()


COMMAND = Command(
    "version",
    "Show the version of this client, and of the service if it answers.",
    run,
    options=(FORMAT,),
)
