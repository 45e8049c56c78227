"""User-visible messages: command line, connection, settings, prompts. Texts of 1.16 to the letter.

A function where a value is filled in. Messages about instances: `client/instance_messages.py`; help
texts of commands: with their declarations in `client/commands/`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.server import Server

GENERAL_DESCRIPTION = (
    "Run and manage Ubuntu instances on this machine through the Multipass service.\n"
    "\n"
    "A client must be known to the service. The first one, from the socket's admin\n"
    "group, becomes known by its first command; later ones use\n"
    "`multipass authenticate`."
)

# -- the command line -----------------------------------------------------------------------------

TOO_MANY_ARGUMENTS = "Too many arguments given"
TAKES_NO_ARGUMENTS = "This command takes no arguments"
INVALID_FORMAT = "Invalid format type given."
BAD_TIMEOUT = "error: --timeout value has to be a positive integer"
NO_IPV4_WITH_SNAPSHOTS = "IP addresses are not applicable in conjunction with listing snapshots"
NO_LOCATION_WITH_SNAPSHOTS = "Locations are not applicable in conjunction with listing snapshots"


def missing_value(option: str) -> str:
    return f"Missing value after '{option}'."


def unexpected_value(option: str) -> str:
    return f"Unexpected value after '{option}'."


def unknown_options(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"Unknown option '{names[0]}'."
    return f"Unknown options: {', '.join(names)}."


def unknown_command(word: str) -> str:
    return (
        f"Error: Unknown command or alias '{word}' "
        + '(try "multipass help" or "multipass aliases")'
    )


def unknown_help(word: str) -> str:
    return f"Error: Unknown Command: '{word}'"


# -- failures -------------------------------------------------------------------------------------

CANNOT_CONNECT = "cannot connect to the multipass socket"
ACCESS_DENIED = "multipass socket access denied"
UNVERIFIED = "the service could not be identified, so nothing was sent to it"
CONNECTION_LOST = "the connection to the service ended before it answered"
LOST_HINT = "The service may have been stopped or restarted. Please try again."
NO_ANSWER = "the service did not answer in time"
TOO_MANY_CALLERS = "too many callers are waiting for the service already"
PROTOCOL_BROKEN = "the service answered with something that is not Multipass's protocol"
UNREADABLE_REPLY = "the service sent a reply that can't be read"
NOT_TEXT = "An argument is not valid text in this terminal's encoding."


def foreign_answer(why: str) -> str:
    return (
        f"It sent this: {why}. Another program than multipassd may be listening there; "
        "MULTIPASS_SERVER_ADDRESS, where it is set, says where."
    )


def failed(command: str, message: str) -> str:
    return f"{command} failed: {message}"


ADDRESS_HINT = (
    "MULTIPASS_SERVER_ADDRESS names the service: unix:<path of its socket> or <host>:<port>."
)


def unhandled(what: str) -> str:
    return f"Caught an unhandled exception: {what}"


def no_socket(path: str, remedy: str) -> str:
    return f"There is no socket at {path}, so the service is probably not running. {remedy}"


def no_listener(path: str, remedy: str) -> str:
    return (
        f"No process is listening on the socket {path}: the service is stopped or starting. "
        f"{remedy}"
    )


def socket_fails(path: str, why: str, remedy: str) -> str:
    return f"Connecting to the socket {path} failed: {why}. {remedy}"


def host_fails(server: Server, why: str) -> str:
    if server.remote:
        return (
            f"Connecting to {server.address} failed: {why}. Check that multipassd serves that "
            "address, and that no firewall is in between."
        )
    return (
        f"Connecting to {server} failed: {why}. Check MULTIPASS_SERVER_ADDRESS and that "
        "multipassd serves that address."
    )


REMEDY_SNAP = "See `snap services multipass`; `sudo snap start multipass` starts it."
REMEDY_SYSTEMD = (
    "See `systemctl status multipassd.socket multipassd.service`; "
    "`sudo systemctl start multipassd.socket` starts it."
)
REMEDY_NAMED = (
    "MULTIPASS_SERVER_ADDRESS names this socket: check it, and that multipassd serves it."
)


def denied_until_first(path: str, group: str) -> str:
    return (
        f"Until a first client has connected, the socket {path} is open only to root and to "
        f"members of the group '{group}': a member of it must connect first, or use `sudo`."
    )


def denied_to_all_but_root(path: str) -> str:
    return (
        f"Until a first client has connected, the socket {path} is open only to root: "
        "use `sudo` once, for example `sudo multipass list`."
    )


def denied_on_the_way(path: str) -> str:
    return (
        f"The socket {path} can't be reached: a directory above it is closed to this user. "
        "Ask an administrator, or use `sudo`."
    )


def denied_over_network(address: str) -> str:
    return f"The service at {address} refused this user. Ask its administrator."


def server_not_verified(server: Server, why: str) -> str:
    if server.roots.are_known:
        return (
            f"Its certificate at {server} does not verify against {server.roots}: {why}. Another "
            "machine may answer there. If the service was installed anew: ask its administrator "
            "for an invitation, and use that."
        )
    return (
        f"Its certificate at {server} does not verify against {server.roots}: {why}. "
        "Copy the service's multipass_root_cert.pem there, or name it in MULTIPASS_ROOT_CERT."
    )


def no_root_certificate(server: str, files: str) -> str:
    return (
        f"There is no usable root certificate to check {server} with, looked for in {files} "
        "(over a socket it must belong to root or to you). Copy the service's "
        "multipass_root_cert.pem there, or name it in MULTIPASS_ROOT_CERT; an invitation of that "
        "service needs neither."
    )


def socket_of_stranger(uid: int, hint: str) -> str:
    return f"The socket is served by user id {uid}, neither root nor you. {hint}".rstrip()


def warn_no_root_certificate(files: str) -> str:
    return (
        f"Warning: no root certificate of the service in {files}; trusting the "
        "socket's owner instead. The service writes a new one when it starts."
    )


def warn_stale_root_certificate(files: str, why: str) -> str:
    return (
        f"Warning: the service's certificate does not verify against {files} "
        f"({why}); trusting the socket's owner instead. Restarting the service repairs it."
    )


def no_certificate(directory: str, why: str) -> str:
    return f"cannot make this client's certificate in {directory}: {why}"


NO_CERTIFICATE_HINT = "Make that directory writable, or name another one in XDG_DATA_HOME."
NO_CRYPTOGRAPHY = "the Python package cryptography is missing"
NO_CRYPTOGRAPHY_HINT = "Install it, for example with `sudo apt install python3-cryptography`."
NOT_REGULAR = "it is not a regular file"


def bad_certificate(path: str, why: str) -> str:
    return f"cannot use this client's certificate {path}: {why}"


def bad_certificate_hint(directory: str) -> str:
    return (
        f"Move {directory} away; the next command makes a new certificate, "
        "which has to be authenticated again."
    )


# -- settings -------------------------------------------------------------------------------------

SOME_SETTINGS = """Some of the settings that exist:

  - client.primary-name
  - local.driver
  - local.passphrase
  - local.privileged-mounts

`multipass get --keys` lists all of them."""
MANY_KEYS = "Need at most one setting key."
NO_KEY = (
    "Multiple settings not implemented yet. "
    "Please try again with one setting key or just the `--keys` option for now."
)
NOT_ONE_PAIR = "Need exactly one key-value pair (in <key>=<value> form)."
BAD_PAIR = "Bad key-value format."
EMPTY_VALUE = "<empty>"
INVALID_HOSTNAME = "Invalid hostname"
KEYS_UNREACHABLE = "Could not reach daemon."
BRIDGE_QUESTION = "Do you want to continue (yes/no)? "
ANSWER_YES_NO = "Please answer yes/no: "


def unknown_key(key: str) -> str:
    return f"Unrecognized settings key: '{key}'"


def invalid_setting(key: str, value: str, why: str) -> str:
    return f"Invalid setting '{key}={value}': {why}"


def unreadable_settings(why: str) -> str:
    return f"Unable to read settings: {why}"


def unwritable_settings(why: str) -> str:
    return f"Unable to read/write settings: {why}"


def deprecated_driver(driver: str) -> str:
    return (
        f"*** Warning! The {driver} driver is deprecated and will be removed in an future release. "
        "***\n\nInstances belong to the driver that made them: those of another driver are kept, "
        "and show up again when it is selected again."
    )


def needs_bridge(networks: Sequence[str]) -> str:
    if len(networks) == 1:
        return (
            f"Multipass needs to create a bridge to connect to {networks[0]}.\n"
            "This will temporarily disrupt connectivity on that interface.\n\n"
        )
    return (
        f"Multipass needs to create bridges to connect to {', '.join(networks)}.\n"
        "This will temporarily disrupt connectivity on those interfaces.\n\n"
    )


# -- prompts and authentication -------------------------------------------------------------------

ENTER_PASSPHRASE = "Please enter passphrase: "
REENTER_PASSPHRASE = "Please re-enter passphrase: "
ENTER_TOKEN = "Please enter the token: "
NO_PASSPHRASE = "No passphrase given"
PASSPHRASES_DIFFER = "Passphrases do not match"
NO_VALUE = "Failed to read value"
ROOT_AUTHENTICATED = "This client (root) is now authenticated."

# -- results --------------------------------------------------------------------------------------

NO_INSTANCES = "No instances found."
NO_SNAPSHOTS = "No snapshots found."
WAITING_READY = "Waiting for the Multipass daemon to be ready"
TIMED_OUT_READY = "Timed out waiting for the Multipass daemon to be ready."


def more_information(url: str) -> str:
    return f"Go here for more information: {url}"


def cannot_write(why: str) -> str:
    return f"Cannot write the output: {why}"


ENROLS_NO_CLIENT = "This client is not authenticated, and this call enrols no client."
