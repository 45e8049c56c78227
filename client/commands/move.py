"""`multipass move`: bring a stopped instance to another host of the cluster."""

from __future__ import annotations

from client import instance_messages as messages
from client import rpc_progress
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol import grpc
from protocol.messages.cluster import MoveReply, MoveRequest

MOVE = grpc.path("move", grpc.CLUSTER_SERVICE)


def run(session: Session) -> int:
    if len(session.line.positionals) != 2:
        raise UsageError(messages.MOVE_ARGUMENTS)
    name, member = session.line.positionals
    request = MoveRequest(instance_name=name, member=member, verbosity_level=session.verbosity)
    rpc_progress.follow(session, MOVE, request, MoveReply, messages.moving(name, member))
    console.line_out(messages.moved(name, member))
    return SUCCESS


COMMAND = Command(
    "move",
    "Bring a stopped instance to another host of the cluster that instances are on.",
    run,
    syntax="<name> <member>",
    arguments=(
        Argument("name", "Name of the instance; it must be stopped"),
        Argument("member", "Name of the host, as `list --location` shows it"),
    ),
)
