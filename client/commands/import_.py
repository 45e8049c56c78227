"""`multipass import`: make an instance of an exported file."""

from __future__ import annotations

import os

from client import export_messages as messages
from client import rpc
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.commands.launch import show
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from client.terminal.progress import Progress
from protocol import grpc
from protocol.messages.exports import ImportRequest
from protocol.messages.launch import LaunchReply

IMPORT = grpc.path("import", grpc.EXPORTS_SERVICE)
FILE = "file://"


def run(session: Session) -> int:
    if len(session.line.positionals) != 1:
        raise UsageError(messages.IMPORT_ARGUMENTS)
    given = session.line.positionals[0].removeprefix(FILE)
    request = ImportRequest(
        url=FILE + os.path.abspath(given),  # the service has another working directory
        instance_name=session.line.value("name", ""),
        as_is="as-is" in session.line.flags,
        verbosity_level=session.verbosity,
    )
    name = request.instance_name
    with Progress() as progress:
        for reply in rpc.stream(session, IMPORT, request, LaunchReply, None, progress.log):
            show(progress, reply)
            name = reply.vm_instance_name or name
    console.line_out(messages.imported(name))
    return SUCCESS


COMMAND = Command(
    "import",
    "Make an instance of a file that `export` has written. It is a new one, with\n"
    "keys and an address of its own, and is not started.",
    run,
    options=(
        Option(("n", "name"), "Its name; without it, the one that it was exported by", "name"),
        Option(
            ("as-is",),
            "Keep its hardware address and SSH host key, as for a move to another host. Where "
            "another service exported it, cloud-init sees its next boot as a first one",
        ),
    ),
    syntax="<file>",
    arguments=(Argument("file", "File of this host, readable for the user who imports it"),),
)
