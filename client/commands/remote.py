"""`multipass remote`: keep services on other machines by name, and choose one."""

from __future__ import annotations

from client import remote_messages as messages
from client import render
from client.arguments.commandline import FORMAT
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol import addresses
from protocol.addresses import AddressError, TcpAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.remotes.table import Remote, Remotes

ADD, LIST, USE, REMOVE = VERBS = ("add", "list", "use", "remove")
MOST_WORDS = 3  # behind `add`


def run(session: Session) -> int:
    verb, *words = session.line.positionals or [""]
    if verb not in VERBS:
        raise UsageError(messages.NEED_VERB)
    if session.line.values and verb != LIST:
        raise UsageError(messages.FORMAT_IS_FOR_LIST)
    return {ADD: _add, LIST: _list, USE: _use, REMOVE: _remove}[verb](session, words)


def _add(session: Session, words: list[str]) -> int:
    if not 2 <= len(words) <= MOST_WORDS:
        raise UsageError(messages.NEED_NAME_AND_ADDRESS)
    from client.remotes import joining, store

    name, address = words[0], _address(words[1])
    joining.check_name(store.read(session.remotes_file()), name, address)
    line = words[2] if len(words) == MOST_WORDS else ""
    used = joining.join(session, session.server_at(address), line, name)
    console.line_out(messages.added(f"{name} ({address})", name, used))
    return SUCCESS


def _list(session: Session, words: list[str]) -> int:
    if words:
        raise UsageError(messages.LIST_TAKES_NO_ARGUMENTS)
    form = render.form(session.line.value("format", render.TABLE))
    from client.remotes import store
    from client.render import remotes

    known = store.read(session.remotes_file())
    console.out(remotes.render(known, str(session.local_address()), form))
    _note_environment(session)
    return SUCCESS


def _use(session: Session, words: list[str]) -> int:
    name = _only(words)
    from client.remotes import store, table

    chosen: list[Remote] = []

    def choose(remotes: Remotes) -> None:
        if name != table.LOCAL:
            chosen.append(_named(remotes, name))
        remotes.default = chosen[0].name if chosen else ""

    store.change(session.remotes_file(), choose)
    console.line_out(messages.uses(chosen[0].shown) if chosen else messages.USES_LOCAL)
    _note_environment(session)
    return SUCCESS


def _remove(session: Session, words: list[str]) -> int:
    name = _only(words)
    from client.remotes import store

    told: list[str] = []

    def forget(remotes: Remotes) -> None:
        # One without a name is known by its address.
        remote = remotes.at(_address(name)) if ":" in name else None
        remote = remote or _named(remotes, name)
        told.append(messages.removed(remote.shown, remote.name == remotes.default != ""))
        remotes.forget(remote)

    store.change(session.remotes_file(), forget)
    console.line_out(told[0])
    return SUCCESS


def _only(words: list[str]) -> str:
    if len(words) != 1:
        raise UsageError(messages.NEED_NAME)
    return words[0]


def _named(remotes: Remotes, name: str) -> Remote:
    """Raises UsageError."""
    found = remotes.named(name)
    if found is None:
        raise UsageError(messages.unknown(name))
    return found


def _note_environment(session: Session) -> None:
    if session.address_is_set:
        console.line_err(messages.ENVIRONMENT_FIRST)


def _address(text: str) -> TcpAddress:
    """Raises UsageError."""
    try:
        address = addresses.parse(text)
    except AddressError as error:
        raise UsageError(f"{error}\n{messages.NOT_OVER_TCP}") from None
    if not isinstance(address, TcpAddress):
        raise UsageError(messages.NOT_OVER_TCP)
    return address


COMMAND = Command(
    "remote",
    "Keep services on other machines under names, and choose the one that commands\n"
    "talk to.\n"
    "\n"
    "  add     become its client, by an invitation, and keep it\n"
    "  list    show those that are kept\n"
    "  use     have commands talk to it; to this machine's service by `local`\n"
    "  remove  forget it\n"
    "\n"
    "MULTIPASS_SERVER_ADDRESS goes before the one in use.",
    run,
    options=(FORMAT,),
    syntax="add <name> <host>:<port> [<invitation>] | list | use <name> | remove <name>",
    arguments=(
        Argument("name", "Name of the remote on this machine"),
        Argument("host:port", "Where the service listens; IPv6 as [<address>]:<port>"),
        Argument(
            "invitation",
            "What `multipass invite` printed there. If omitted, it is asked for without echo",
        ),
    ),
)
