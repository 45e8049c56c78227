"""`multipass launch`: create an instance and start it."""

from __future__ import annotations

import os

from client import instance_messages, mount_messages, rpc, runner
from client.arguments import images, mounts, networks, numbers, timeouts
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, DeadlinePassed, Status, StatusError, TimedOut, UsageError
from client.session import Session
from client.terminal import console, notices, prompts
from client.terminal.progress import PREPARING, RETRIEVING, Progress
from protocol import sizes
from protocol.messages.access import GetReply, GetRequest
from protocol.messages.launch import LaunchError, LaunchProgress, LaunchReply, LaunchRequest
from protocol.settings import PRIVILEGED_MOUNTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.arguments.commandline import CommandLine

HOME_TARGET = "Home"  # of the caller's home in the primary instance
TEXT, JSON = "text", "json"  # of what `--format` asks for
BRIDGED = "bridged"  # the network that local.bridged-network names

PROGRESS = {
    LaunchProgress.ProgressTypes.IMAGE: RETRIEVING,
    LaunchProgress.ProgressTypes.EXTRACT: "Extracting image: ",
    LaunchProgress.ProgressTypes.VERIFY: "Verifying image: ",
    LaunchProgress.ProgressTypes.WAITING: PREPARING,
}


def run(session: Session) -> int:
    if session.line.value("format", TEXT) not in (TEXT, JSON):
        raise UsageError(instance_messages.TEXT_OR_JSON)
    limit = timeouts.seconds(session)
    request = _request(session)
    wanted = _mounts(session)
    request.timeout = timeouts.on_wire(limit)
    try:
        reply = _launch(session, request, timeouts.deadline(limit))
    except DeadlinePassed as error:
        raise TimedOut(
            instance_messages.LAUNCH_TIMED_OUT, instance_messages.LAUNCH_TIMED_OUT_HINT
        ) from error
    name = reply.vm_instance_name or request.instance_name
    if _as_json(session):
        from client.terminal import progress_lines

        progress_lines.write(launched=name)
    else:
        console.line_out(instance_messages.launched(name))
    notices.update(reply.update_info)
    return _mount(session, name, wanted)


def _mount(session: Session, name: str, wanted: list[tuple[str, str]]) -> int:
    """The directories of `--mount`, and the home in the primary instance. The exit code of the
    first that fails."""
    if name == session.primary() and HOME_TARGET not in [target for _, target in wanted]:
        if mounts.are_out_of_reach(session):
            console.line_out(mount_messages.SKIPPING_OVER_TCP)
        else:
            wanted = [*wanted, (session.home(), HOME_TARGET)]
    if not wanted:
        return SUCCESS
    request = GetRequest(key=PRIVILEGED_MOUNTS, verbosity_level=session.verbosity)
    if rpc.call(session, "get", request, GetReply).value == "false":
        console.line_out(mount_messages.SKIPPING)
        return SUCCESS
    failed = SUCCESS
    for source, target in wanted:
        code = runner.inner(session, "mount", "--", source, f"{name}:{target}")
        if code == SUCCESS:
            console.line_out(mount_messages.mounted(source, name, target))
        failed = failed or code
    return failed


def _request(session: Session) -> LaunchRequest:
    """Raises UsageError before anything is sent."""
    from client.arguments import time_zone

    line = session.line
    if len(line.positionals) > 1:
        raise UsageError(instance_messages.LAUNCH_TOO_MANY)
    remote, image = images.parse(line.positionals[0]) if line.positionals else ("", "")
    return LaunchRequest(
        instance_name=line.value("name", ""),
        remote_name=remote,
        image=image,
        num_cores=_cpus(line),
        mem_size=_memory(line),
        disk_space=_size(line.value("disk", "")),
        network_options=_networks(line),
        cloud_init_user_data=_cloud_init(line),
        time_zone=time_zone.zone(os.environ),
        target=line.value("target", ""),
        verbosity_level=session.verbosity,
    )


def _cpus(line: CommandLine) -> int:
    if "cpus" not in line.values:
        return 0
    given = line.value("cpus", "")
    number = numbers.parse(given)
    if not number:
        raise UsageError(instance_messages.invalid_cpus(given))
    return number


def _memory(line: CommandLine) -> str:
    if "mem" in line.values:
        if "memory" in line.values:
            raise UsageError(instance_messages.TWO_MEMORIES)
        console.line_err(instance_messages.MEM_DEPRECATED)
    return _size(line.value("memory", line.value("mem", "")))


def _size(given: str) -> str:
    """The size as it was given; the service checks its value. Raises UsageError if it is none."""
    if given:
        try:
            sizes.parse(given)
        except sizes.SizeError as error:
            raise UsageError(str(error), error.hint) from None
    return given


def _networks(line: CommandLine) -> list[LaunchRequest.NetworkOptions]:
    bridged = [BRIDGED] if "bridged" in line.flags else []
    return [networks.parse(spec) for spec in (*bridged, *line.values.get("network", ()))]


def _mounts(session: Session) -> list[tuple[str, str]]:
    """Source and target of each `--mount`. Raises UsageError, CommandFailed."""
    found = []
    for given in session.line.values.get("mount", ()):
        mounts.check_reach(session)
        source, _, target = given.partition(":")
        mounts.check_source(source, "Mount source")
        found.append((source, target or mounts.default_target(source)))
    return found


def _cloud_init(line: CommandLine) -> str:
    if "cloud-init" not in line.values:
        return ""
    from client.arguments import cloudinit

    return cloudinit.load(line.value("cloud-init", ""))


def _launch(session: Session, request: LaunchRequest, deadline: float | None) -> LaunchReply:
    """Ask once for permission to create bridges, if the launch needs it. Raises CommandFailed."""
    to_bridge: list[str] = []
    try:
        return _attempt(session, request, deadline, to_bridge)
    except StatusError as error:
        if not to_bridge or not prompts.may_bridge(to_bridge):
            raise _explained(error, request) from None
    request.permission_to_bridge = True
    try:
        return _attempt(session, request, deadline, [])
    except StatusError as error:
        raise _explained(error, request) from None


def _attempt(
    session: Session, request: LaunchRequest, deadline: float | None, to_bridge: list[str]
) -> LaunchReply:
    """The last reply with the instance's name; networks that need a bridge go to `to_bridge`."""
    from client.downloads import Downloads

    result = LaunchReply()
    channel = rpc.open_channel(session, deadline)
    name = request.instance_name
    with _progress(session) as progress, Downloads(session, name, progress.transfer) as downloads:
        for reply in rpc.stream(session, "launch", request, LaunchReply, channel, progress.log):
            to_bridge += reply.nets_need_bridging
            downloads.handle(reply)
            show(progress, reply)
            if reply.vm_instance_name is not None:
                result = reply
    return result


def _as_json(session: Session) -> bool:
    return session.line.value("format", TEXT) == JSON


def _progress(session: Session) -> Progress:
    if not _as_json(session):
        return Progress()
    from client.terminal.progress_lines import ProgressLines

    return ProgressLines()


def show(progress: Progress, reply: LaunchReply) -> None:
    if reply.create_message:
        progress.stage(reply.create_message)
    if reply.launch_progress is not None:
        label = PROGRESS.get(reply.launch_progress.type, "")  # type: ignore[call-overload]
        percent = reply.launch_progress.percent_complete
        if label and percent.isdecimal():
            progress.percent(label, int(percent))
        elif label:
            progress.stage(label)
    if reply.reply_message:
        progress.stage(reply.reply_message)


def _explained(error: StatusError, request: LaunchRequest) -> StatusError:
    """The message for the error codes of the service; the last code counts."""
    codes = LaunchError.ErrorCodes
    known = {
        int(codes.INVALID_DISK_SIZE): instance_messages.invalid_disk(request.disk_space),
        int(codes.INVALID_MEM_SIZE): instance_messages.invalid_memory(request.mem_size),
        int(codes.INVALID_HOSTNAME): instance_messages.invalid_name(request.instance_name),
        int(codes.INVALID_NETWORK): instance_messages.invalid_network(
            bridge_missing=error.status == Status.FAILED_PRECONDITION
        ),
    }
    told = [known[code] for code in rpc.details(error, LaunchError).error_codes if code in known]
    return StatusError(error.status, error.sentence, told[-1] if told else error.hint)


COMMAND = Command(
    "launch",
    "Make an instance from an image and start it.",
    run,
    options=(
        Option(("c", "cpus"), "Number of CPUs of the instance\nMinimum: 1, default: 1", "cpus"),
        Option(
            ("d", "disk"),
            "Size of its disk: a number, with K, M or G behind it or else bytes\n"
            "Minimum: 512M, default: 5G",
            "disk",
        ),
        Option(
            ("m", "memory"),
            "Size of its memory, in the same form\nMinimum: 128M, default: 1G",
            "memory",
        ),
        Option(("mem",), "The former name of --memory", "memory", hidden=True),
        Option(
            ("n", "name"),
            "Its name. Letters, digits and inner hyphens, a letter first; 'primary' (see "
            "client.primary-name) makes the primary instance. Without it two words are chosen",
            "name",
        ),
        Option(
            ("cloud-init",),
            "File or URL of cloud-init's user data, or - for what comes on standard input",
            "file> | <url",
        ),
        Option(
            ("network",),
            "Connect the instance to a network of this host, besides its own; may be repeated. "
            "The specification is a name that `networks` lists, or `key=value` pairs with commas "
            "between them:\n"
            " name: the network (required; `bridged` is the one that local.bridged-network names)\n"
            " mode: auto|manual (default: auto)\n"
            " mac: hardware address (default: random)",
            "spec",
        ),
        Option(("bridged",), "The same as `--network bridged`"),
        Option(
            ("mount",),
            "A directory of this host to mount in the instance once it runs, and where; may be "
            "repeated. Without a target, below the login user's home under its own name",
            "source>:<target",
        ),
        Option(
            ("target",),
            "The host of a cluster to make it on, as `list --location` shows it. Without it the "
            "cluster chooses",
            "member",
        ),
        timeouts.OPTION,
        Option(
            ("format",),
            "How to write progress and result: text, or json, a document each line (default: text)",
            "format",
        ),
    ),
    syntax="[[<remote:>]<image> | <url>]",
    arguments=(
        Argument(
            "image",
            "What to make the instance from: an alias, a version, a codename or the beginning of "
            "an id, as `find` shows them, with a remote before a colon or without; or the URL of "
            "an image, http://, https:// or file://. Without it, the latest release with long-term "
            "support",
        ),
    ),
)
