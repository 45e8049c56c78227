"""`multipass exec`: run a command in an instance."""

from __future__ import annotations

import os

from client import instance_messages, rpc, runner
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import Status, StatusError, UsageError
from client.guests import guest, quoting
from client.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages.mounts import MountInfo

SUDO = "sudo"


def run(session: Session) -> int:
    line = session.line
    chosen = line.value("working-directory", "")
    mapped = "no-map-working-directory" not in line.flags
    if chosen and not mapped:
        raise UsageError(instance_messages.DIRECTORIES_CLASH)
    if len(line.positionals) < 2:
        raise UsageError(instance_messages.WRONG_NUMBER)
    name, *words = line.positionals
    try:
        found = guest.reach(session, name, rpc.open_channel(session))
    except StatusError as error:
        if error.status != Status.ABORTED:  # ABORTED: the instance does not run
            raise
        if code := runner.inner(session, "start", "--", name):
            return code
        found = guest.reach(session, name, rpc.open_channel(session))
    # After the connection has begun: what is loaded and asked now costs no time.
    from client.guests import ssh

    directory = chosen or (_mapped_directory(session, name) if mapped else "")
    return ssh.run(found, command_text(words, directory, found.ssh.username))


def command_text(words: Sequence[str], directory: str, user: str) -> str:
    """The command line for the login shell in the instance."""
    if not directory:
        return quoting.join(words)
    if words[0] == SUDO:  # only root may be able to enter the directory
        inner = f"cd {quoting.quote(directory)} && sudo -u {user} {quoting.join(words)}"
        return f"sudo sh -c {quoting.quote(inner)}"
    return f"cd {quoting.quote(directory)}&&{quoting.join(words)}"


def _mapped_directory(session: Session, name: str) -> str:
    """The path of the current directory in the instance; empty if it is not mounted there.
    Mounts of a service on another machine have sources of that machine."""
    if session.is_elsewhere:
        return ""
    from protocol.messages.common import InstanceSnapshotPair
    from protocol.messages.information import InfoReply, InfoRequest

    request = InfoRequest(
        instance_snapshot_pairs=[InstanceSnapshotPair(instance_name=name)],
        no_runtime_information=True,
        verbosity_level=session.verbosity,
    )
    reply = rpc.call(session, "info", request, InfoReply)
    mounts = [
        mount
        for item in reply.details
        if item.mount_info is not None
        for mount in item.mount_info.mount_paths
    ]
    return map_directory(mounts) if mounts else ""


def map_directory(mounts: Sequence[MountInfo.MountPaths]) -> str:
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # the current directory was removed
        return ""
    for mount in sorted(mounts, key=lambda each: len(each.source_path), reverse=True):
        source = os.path.realpath(mount.source_path)
        if here == source:
            return mount.target_path
        if here.startswith(source.rstrip("/") + "/"):
            return os.path.join(mount.target_path, here[len(source.rstrip("/")) + 1 :])
    return ""


COMMAND = Command(
    "exec",
    "Run a command in an instance, with the input and output of this terminal. Its\n"
    "exit status is returned.",
    run,
    options=(
        Option(("d", "working-directory"), "The directory in the instance to run it in", "dir"),
        Option(
            ("n", "no-map-working-directory"),
            "Run it in the login directory, even when the current directory of this host is "
            "mounted in the instance",
        ),
    ),
    syntax="<name> [--] <command>",
    arguments=(
        Argument("name", "Name of the instance to run the command in"),
        Argument(
            "command", "The command and its arguments; options of its own need `--` before it"
        ),
    ),
    options_hint=instance_messages.EXEC_OPTIONS,
)
