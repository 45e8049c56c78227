"""`multipass find`: list the images that instances can be launched from."""

from __future__ import annotations

from client import instance_messages, render
from client.arguments.commandline import FORMAT, Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console

RENDERERS = "client.render.images", "client.render.table"


def run(session: Session) -> int:
    line = session.line
    form = render.form(line.value("format", render.TABLE))
    only_images = "only-images" in line.flags
    only_blueprints = "only-blueprints" in line.flags
    force = "force-update" in line.flags
    if only_images and only_blueprints:
        raise UsageError(instance_messages.ONE_CATEGORY)
    if force and only_blueprints:
        raise UsageError(instance_messages.NO_BLUEPRINT_UPDATE)
    remote, wanted = _search(line.positionals)
    from client import rpc  # here: `--help` needs none of it
    from protocol.messages.information import FindReply, FindRequest

    request = FindRequest(
        search_string=wanted,
        remote_name=remote,
        verbosity_level=session.verbosity,
        allow_unsupported="show-unsupported" in line.flags,
        show_images=not only_blueprints,
        show_blueprints=not only_images,
        force_manifest_network_download=force,
    )
    reply = rpc.call(session, "find", request, FindReply, loads=RENDERERS)
    from client.render import images

    shown = images.Categories(images=not only_blueprints, blueprints=not only_images)
    console.out(images.render(reply, shown, form))
    return SUCCESS


def _search(given: list[str]) -> tuple[str, str]:
    """The remote and the search text. Raises UsageError."""
    if len(given) > 1:
        raise UsageError(instance_messages.WRONG_NUMBER)
    if not given:
        return "", ""
    remote, colon, wanted = given[0].partition(":")
    if ":" in wanted:
        raise UsageError(instance_messages.BAD_SEARCH)
    return (remote, wanted) if colon else ("", remote)


COMMAND = Command(
    "find",
    "List the images that `launch` knows: all, those of one remote, or those that\nmatch a name.",
    run,
    options=(
        Option(("show-unsupported",), "Show images that are no longer supported, too"),
        Option(("only-images",), "Show only images"),
        Option(("only-blueprints",), "Show only blueprints"),
        FORMAT,
        Option(("force-update",), "Fetch what is known about images anew"),
    ),
    syntax="[<remote:>][<string>]",
    arguments=(
        Argument(
            "string",
            "What to look for in images, for example a version, a codename or the beginning of an "
            "id; before a colon a remote, for example daily:",
        ),
    ),
)
