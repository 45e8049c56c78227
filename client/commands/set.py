"""`multipass set`: change a setting of the client or of the service."""

from __future__ import annotations

from client import messages, settings
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console, prompts
from protocol.settings import DRIVER, INCUS_TOKEN, SECRET_KEYS, is_for_daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.messages.access import SetRequest

BRIDGED_SUFFIX = ".bridged"  # only for such a setting the service may ask a question
NAME = "name"  # the property of an instance that is its name
DEPRECATED_DRIVERS = ("lxd", "libvirt")


def run(session: Session) -> int:
    if len(session.line.positionals) != 1:
        raise UsageError(messages.NOT_ONE_PAIR)
    key, value = _split(session.line.positionals[0])
    if value is None:
        if not is_for_daemon(key):
            settings.check_key(key)  # before asking for a value
        value = _ask(session, key)
    if is_for_daemon(key):
        _set_in_service(session, key, value)
        _follow(session, key, value)
    else:
        settings.write(session.settings_file(), key, value)
    return SUCCESS


def _split(word: str) -> tuple[str, str | None]:
    """Key and value, from exactly one `=`; a secret may contain more. Raises UsageError."""
    key, equals, value = word.partition("=")
    if not equals:
        return key, None
    if not key or ("=" in value and key not in SECRET_KEYS):
        raise UsageError(messages.BAD_PAIR)
    return key, value


def _ask(session: Session, key: str) -> str:
    if key not in SECRET_KEYS:
        return prompts.ask(f"{key}: ")
    session.channel().check()  # verify the service before asking for the value
    if key == INCUS_TOKEN:
        return prompts.ask_secretly(messages.ENTER_TOKEN)
    return prompts.new_passphrase()


def _set_in_service(session: Session, key: str, value: str) -> None:
    from client import rpc
    from client.terminal import spinner
    from protocol.messages.access import SetReply, SetRequest

    request = SetRequest(key=key, val=value, verbosity_level=session.verbosity)
    may_ask = key.endswith(BRIDGED_SUFFIX)
    call = session.channel().begin("set", rpc.encode(request), half_close=not may_ask)
    try:
        for reply in rpc.replies(session, call, SetReply):
            if reply.needs_authorization and may_ask:
                call.answer(_authorized(request, reply.reply_message).encode())
    finally:
        if console.output_is_terminal():
            console.out(spinner.CLEAR)
    if key == DRIVER and value.lower() in DEPRECATED_DRIVERS:
        console.line_out(messages.deprecated_driver(value.lower()))


def _follow(session: Session, key: str, value: str) -> None:
    """Aliases follow an instance that was renamed by `local.INSTANCE.name`."""
    parts = key.split(".")
    if len(parts) == 3 and parts[2] == NAME and parts[1] != value:
        from client.aliases import store

        store.rename_instance(session, parts[1], value)


def _authorized(request: SetRequest, network: str) -> SetRequest:
    request.authorized = prompts.may_bridge([network])
    return request


COMMAND = Command(
    "set",
    f"Change a setting. {messages.SOME_SETTINGS}",
    run,
    syntax="<key>[=<value>]",
    arguments=(
        Argument(
            "keyval",
            "Key of the setting and its new value, an empty one to reset it. Without a value, "
            "a prompt asks for it; what is typed for a passphrase or a token stays invisible.",
        ),
    ),
)
