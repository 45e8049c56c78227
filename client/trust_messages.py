"""User-visible messages of the commands about clients: `invite`, `clients`, `grant`, `revoke`."""

from __future__ import annotations

NEED_NAME = "Name exactly one person to invite, for example: multipass invite bob"
NEED_NAME_AND_ROLE = (
    "Name one person, or the beginning of a fingerprint, and a role, for example: "
    "multipass grant bob viewer"
)
NEED_WHO = "Name one person, or the beginning of a fingerprint, for example: multipass revoke bob"
BAD_EXPIRY = "--expires is a number with a unit of time, from 1m to 30d, for example 30m, 1h or 7d"
TEXT_OR_JSON = "--format is text or json"
NO_CLIENTS = "No clients and no invitations found."
NOT_OFFERED = "The service that answers is of Multipass 1.16, which knows no roles and invitations."
UNCHANGED = "Nothing had to be changed."


def invited(name: str, role: str, until: str, line: str, tcp_address: str) -> str:
    """`tcp_address`: where other machines reach the service, empty if they can't."""
    there = ""
    if tcp_address:
        there = (
            f"or, on another machine that reaches this one as {tcp_address}, by this:\n"
            "\n"
            f"  {joining_from_elsewhere(tcp_address, line)}\n"
            "\n"
        )
    return (
        f"{name} is let in once, as {role}, until {until}, by this command:\n"
        "\n"
        f"  {joining(line)}\n"
        "\n"
        f"{there}"
        "Any person who has the line can use it. It is shown only now."
    )


def joining(line: str) -> str:
    return f"multipass authenticate {line}"


def joining_from_elsewhere(tcp_address: str, line: str) -> str:
    from client.remotes import table

    label = tcp_address.rpartition(":")[0].partition(".")[0].lower()
    remote = label if table.is_name(label) and label != table.LOCAL else "server"
    return f"multipass remote add {remote} {tcp_address} {line}"


def former_key(instances: list[str]) -> str:
    return (
        f"Instances that may still let in a former SSH key: {', '.join(instances)}\n"
        "It is replaced when they start; 'multipass start' warns where that is not possible."
    )


def granted(count: int, who: str, role: str) -> str:
    return f"{_clients(count)} of {who} {'has' if count == 1 else 'have'} the role {role} now."


def revoked(count: int, invitations: int, who: str) -> str:
    parts = [f"{_clients(count)} of {who} {'is' if count == 1 else 'are'} no longer trusted."]
    if invitations:
        void = "1 invitation was" if invitations == 1 else f"{invitations} invitations were"
        parts.append(f"{void} taken back.")
    return " ".join(parts[1:] if not count else parts)


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"
