"""`multipass list`: list the instances, or their snapshots."""

from __future__ import annotations

from client import messages, render, rpc
from client.arguments.commandline import FORMAT, Option
from client.command import Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol.messages.listing import ListReply, ListRequest

RENDERERS = "client.render.instances", "client.render.table"


def run(session: Session) -> int:
    line = session.line
    if line.positionals:
        raise UsageError(messages.TAKES_NO_ARGUMENTS)
    snapshots, no_ipv4 = "snapshots" in line.flags, "no-ipv4" in line.flags
    if snapshots and no_ipv4:
        raise UsageError(messages.NO_IPV4_WITH_SNAPSHOTS)
    if snapshots and "location" in line.flags:
        raise UsageError(messages.NO_LOCATION_WITH_SNAPSHOTS)
    form = render.form(line.value("format", render.TABLE))
    request = ListRequest(
        verbosity_level=session.verbosity, snapshots=snapshots, request_ipv4=not no_ipv4
    )
    reply = rpc.call(session, "list", request, ListReply, loads=RENDERERS)
    _show(session, reply, form, snapshots)
    return SUCCESS


def _show(session: Session, reply: ListReply, form: str, snapshots: bool) -> None:
    if reply.snapshot_list is not None or (snapshots and reply.instance_list is None):
        from client.render import snapshots as renderer

        found = reply.snapshot_list.snapshots if reply.snapshot_list else []
        primary = _primary(session, len(found))
        console.out(renderer.render(found, form, primary))
    else:
        from client.render import instances

        listed = reply.instance_list.instances if reply.instance_list else []
        located = "location" in session.line.flags
        console.out(instances.render(listed, form, _primary(session, len(listed)), located))
    if reply.update_info is not None:
        from client.terminal import notices

        notices.update(reply.update_info)


def _primary(session: Session, count: int) -> str:
    """Only for formats with an order to choose."""
    return session.primary() if count > 1 else ""


COMMAND = Command(
    "list",
    "List the instances that there are, or their snapshots.",
    run,
    aliases=("ls",),
    options=(
        Option(("snapshots",), "List the snapshots of all instances instead"),
        FORMAT,
        Option(("location",), "Show in a table, too, on which host of a cluster each instance is"),
        Option(("no-ipv4",), "Leave the instances' addresses out, which is faster", hidden=True),
    ),
)
