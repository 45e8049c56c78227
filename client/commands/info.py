"""`multipass info`: show details of instances and snapshots."""

from __future__ import annotations

from client import instance_messages, render, rpc
from client.arguments import instances
from client.arguments.commandline import FORMAT, Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console, notices
from protocol.messages.information import InfoReply, InfoRequest

RENDERERS = ("client.render.details",)


def run(session: Session) -> int:
    line = session.line
    everything, snapshots = "all" in line.flags, "snapshots" in line.flags
    if everything:
        console.line_err(instance_messages.INFO_ALL_DEPRECATED)
        if line.positionals:
            raise UsageError(instance_messages.name_with_all(len(line.positionals)))
    form = render.form(line.value("format", render.TABLE))
    pairs = [instances.pair(word) for word in line.positionals]
    of_snapshots = {pair.snapshot_name is not None for pair in pairs}
    if form == render.CSV and not snapshots and len(of_snapshots) > 1:
        raise UsageError(instance_messages.MIXED_CSV)
    request = InfoRequest(
        instance_snapshot_pairs=pairs,
        verbosity_level=session.verbosity,
        no_runtime_information="no-runtime-information" in line.flags,
        snapshots=snapshots,
    )
    reply = rpc.call(session, "info", request, InfoReply, loads=RENDERERS)
    _show(session, reply, form, snapshots)
    return SUCCESS


def _show(session: Session, reply: InfoReply, form: str, snapshots: bool) -> None:
    from client.render import details

    primary = session.primary() if len(reply.details) > 1 else ""
    found = details.Details(reply.details, primary, verbose=session.verbosity > 0)
    if form == render.TABLE:
        text = details.table(found, snapshots)
    elif form == render.CSV:
        text = details.csv(found)
    else:
        from client.render import documents

        text = documents.json(found) if form == render.JSON else documents.yaml(found)
    console.out(text)
    notices.update(reply.update_info)


COMMAND = Command(
    "info",
    "Show what is known about instances and snapshots; without a name, about all\ninstances.",
    run,
    options=(
        Option(("snapshots",), "Show the snapshots of the named instances, or of all"),
        FORMAT,
        Option(("all",), "The same as naming nothing", hidden=True),
        Option(
            ("no-runtime-information",),
            "Leave out what only the running instance knows, which is faster",
            hidden=True,
        ),
    ),
    syntax="<instance>[.snapshot] [<instance>[.snapshot] ...]",
    arguments=(Argument("instance/snapshot", "Names of instances and snapshots to show"),),
)
