"""What the tests of a booted host share about trust: its places, its words, its journal."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.certificates import KeyPair
from tests.system.host import Done, Host
from tests.system.site import NOT_AUTHENTICATED, NOT_SET, fingerprint_of, fingerprints_in
from tools.roots import CLEAN_ENVIRONMENT
from tools.terminal import Session, converse

SOCKET = "/run/multipass_socket"
STORE = "/var/lib/multipassd/data/authenticated-certs/multipass_client_certs.pem"
ROOT_CERTIFICATE = "/var/lib/multipassd/multipass_root_cert.pem"
CLIENT = ".local/share/multipass-client-certificate"  # below a home
CLOSED, OPEN = "root:sudo 660", "root:sudo 666"
SET_REFUSED = NOT_AUTHENTICATED.replace("list", "set", 1)


def let_sudo_ask_nothing(host: Host) -> None:
    """Allow sudo without password, as users have none. Writes to the disk of a host that is off."""
    rule = host.root / "etc/sudoers.d/no-passwords"
    rule.write_text("%sudo ALL=(ALL:ALL) NOPASSWD: ALL\n")
    rule.chmod(0o440)
    name = (host.root / "etc/hostname").read_text().strip()
    (host.root / "etc/hosts").write_text(f"127.0.0.1 localhost {name}\n")  # else sudo complains


def at_terminal(host: Host, user: str, command: str, answers: Iterable[tuple[str, str]]) -> Session:
    """Run a shell command at a pseudo-terminal that was opened inside the host, and answer it."""
    inside = ["script", "--quiet", "--return", "--command", command, "/dev/null"]
    return converse([*host.entering(user), *inside], answers, CLEAN_ENVIRONMENT)


# The service


def socket_mode(host: Host) -> str:
    return host.run("stat", "-c", "%U:%G %a", SOCKET).stdout.strip()


@dataclass(frozen=True)
class ServiceIn:
    """The service of a running host, for a client out here; to the service it is root's."""

    host: Host

    @property
    def address(self) -> str:
        return f"unix:{self.host.inside(SOCKET)}"

    @property
    def root_cert(self) -> Path:
        return self.host.inside(ROOT_CERTIFICATE)


def stored(host: Host) -> list[str]:
    """The fingerprints in the store's file, in its order."""
    return fingerprints_in(host.inside(STORE).read_text(encoding="ascii"))


def records(host: Host, event: str) -> list[dict[str, Any]]:
    """The journal's records of one kind of trust decision, oldest first."""
    lines = host.journal("-o", "json", f"MULTIPASS_EVENT={event}").splitlines()
    return [json.loads(line) for line in lines]


# People


def uid(host: Host, user: str) -> int:
    return int(host.run("id", "-u", user).stdout)


def client_of(host: Host, user: str) -> str:
    """The fingerprint of the certificate that the user's CLI has."""
    return fingerprint_of(_certificate(host, user))


def key_pair_of(host: Host, user: str) -> KeyPair:
    certificate = _certificate(host, user)
    key = certificate.with_name("multipass_cert_key.pem")
    return KeyPair(certificate=certificate.read_bytes(), key=key.read_bytes())


def certificate_text(host: Host, user: str) -> str:
    return _certificate(host, user).read_text(encoding="ascii")


def _certificate(host: Host, user: str) -> Path:
    home = "/root" if user == "root" else f"/home/{user}"
    return host.inside(f"{home}/{CLIENT}/multipass_cert.pem")


def sudo(host: Host, *command: str, by: str = "alice", code: int = 0, given: str = "") -> Done:
    return host.run("sudo", *command, user=by, code=code, given=given)


def gets_in(host: Host, user: str) -> bool:
    return host.run("multipass", "list", user=user, code=None).returncode == 0


def refused(host: Host, user: str) -> None:
    assert host.run("multipass", "list", user=user, code=2).stdout == NOT_AUTHENTICATED


def locked_out(host: Host, user: str) -> None:
    """All three documented commands refuse, in the documented words."""
    refused(host, user)
    assert host.run("multipass", "authenticate", "guess", user=user, code=2).stdout == NOT_SET
    done = host.run("multipass", "set", "local.passphrase=x", user=user, code=2)
    assert done.stdout == SET_REFUSED
