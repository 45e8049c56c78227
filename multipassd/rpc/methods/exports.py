"""`export` and `import`: an instance as one file."""

from __future__ import annotations

from multipassd.audit.deed import Subject
from multipassd.instances.exporting import exporter
from multipassd.instances.exporting.importer import ImportSpec
from multipassd.instances.launching.reporter import Reporter
from multipassd.rpc import caller
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods.launch import progress
from protocol.messages.exports import ExportRequest, ImportRequest
from protocol.messages.launch import LaunchReply


async def export(call: Call[ExportRequest], daemon: Daemon) -> None:
    """Stream a stopped instance as one file."""
    instance = call.instances.get_live(call.request.instance_name)
    await exporter.export(instance, daemon.instances.driver, daemon.ssh_key, call.stream)


async def import_(call: Call[ImportRequest], daemon: Daemon) -> None:
    """Make an instance of such a file of the caller's; it is stopped."""
    request = call.request
    report = Reporter(
        step=lambda text: call.reply(LaunchReply(create_message=text)),
        progress=lambda kind, percent: call.reply(progress(kind, percent)),
        message=lambda text: call.reply(LaunchReply(reply_message=text)),
        launched=lambda: None,
    )
    asked = ImportSpec(
        request.url,
        request.instance_name,
        request.as_is,
        call.peer.credentials,
        caller.owner(call, daemon),
    )
    instance = await daemon.importer.run(asked, report)
    call.deed.whole.subject = Subject((instance.name,))
    call.reply(LaunchReply(vm_instance_name=instance.name))
