"""`multipass get`: show a setting of the client or of the service."""

from __future__ import annotations

from client import messages, settings
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, Unreachable, UsageError
from client.session import Session
from client.terminal import console
from protocol.settings import SECRET_KEYS, is_for_daemon


def run(session: Session) -> int:
    given = session.line.positionals
    if len(given) > 1:
        raise UsageError(messages.MANY_KEYS)
    if "keys" in session.line.flags:
        _show_keys(session, given)
    elif not given:
        raise UsageError(messages.NO_KEY)
    else:
        _show_value(session, given[0])
    return SUCCESS


def _show_value(session: Session, key: str) -> None:
    if is_for_daemon(key):
        value = _service_value(session, key)
    else:
        value = settings.read(session.settings_file(), key)
    if not value and "raw" not in session.line.flags:
        value = messages.EMPTY_VALUE
    console.line_out(value)


def _service_value(session: Session, key: str) -> str:
    from client import rpc
    from protocol.messages.access import GetReply, GetRequest

    request = GetRequest(key=key, verbosity_level=session.verbosity)
    value = rpc.call(session, "get", request, GetReply).value
    if key in SECRET_KEYS:  # show only whether it is set; a 1.16 service sends its hash
        return "false" if value in ("", "false") else "true"
    return value


def _show_keys(session: Session, wanted: list[str]) -> None:
    keys = sorted({*settings.keys(), *_service_keys(session)})
    if wanted and wanted[0] not in keys:
        raise UsageError(messages.unknown_key(wanted[0]))
    console.out("".join(f"{key}\n" for key in wanted or keys))


def _service_keys(session: Session) -> list[str]:
    from client import rpc
    from protocol.messages.access import KeysReply, KeysRequest

    request = KeysRequest(verbosity_level=session.verbosity)
    try:
        return rpc.call(session, "keys", request, KeysReply).settings_keys
    except Unreachable:
        console.log("error", "remote settings", messages.KEYS_UNREACHABLE)
        return []


COMMAND = Command(
    "get",
    f"Show the value of one setting. {messages.SOME_SETTINGS}",
    run,
    options=(
        Option(("raw",), "Show an empty value as an empty line, for use in scripts"),
        Option(("keys",), "List the keys of all settings, or look one up"),
    ),
    syntax="[<arg>]",
    arguments=(Argument("arg", "Key of the setting to show, for example client.primary-name"),),
)
