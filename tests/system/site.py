"""One daemon as root in a sandbox, and what several users can do with it."""

import os
import signal
import ssl
import stat
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from protocol.pem import fingerprint
from tests import waiting
from tests.system.people import People, Person
from tools.daemon import CLI_SECONDS, Daemon
from tools.sandbox import Sandbox
from tools.terminal import Session, converse

NOT_AUTHENTICATED = (
    "list failed: The client is not authenticated with the Multipass service.\n"
    "Please use 'multipass authenticate' before proceeding.\n"
)
NOT_SET = (
    "authenticate failed: Passphrase is not set. "
    "Please `multipass set local.passphrase` with a trusted client.\n"
)
WRONG = "authenticate failed: Passphrase is not correct. Please try again.\n"
DENIED = "multipass socket access denied\n"
ROOT_AUTHENTICATED = "This client (root) is now authenticated.\n"
EMPTY_LIST = "No instances found.\n"
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
ASK, ASK_AGAIN = "Please enter passphrase: ", "Please re-enter passphrase: "

# A call without the CLI's own logic around it, made by the client's modules under the bare Python.
RAW_CALL = """
import sys
sys.path.insert(0, sys.argv[1])
from client.transport.channel import Channel
from client.errors import StatusError
from client.server import Server
from client.transport.roots import Roots
from client.transport.server_identity import Peer
from protocol.addresses import parse
identity = tuple(sys.argv[4:6]) or None
peer = Peer(Server(parse(sys.argv[2]), Roots([])), identity, lambda warning: None)
try:
    list(Channel(peer).call(sys.argv[3], b""))
except StatusError as error:
    print(error.status, error.sentence)
else:
    print(0)
"""

MAKE_CERTIFICATE = """
import sys
sys.path.insert(0, sys.argv[1])
from client import certificate
certificate.ensure(sys.argv[2])
"""

Done = subprocess.CompletedProcess[str]


class Site:
    def __init__(self, sandbox: Sandbox, copy: Path, people: People):
        self.sandbox = sandbox
        self.copy = copy
        self.people = people
        self.daemon = Daemon(sandbox)

    # The daemon.

    def start(self, *options: str, env: Mapping[str, str] | None = None) -> "Site":
        self.daemon.options = list(options)
        self.daemon.extra_env = dict(env or {})
        self.daemon.start()
        return self

    @property
    def store(self) -> Path:
        return self.sandbox.store_path

    def mode_and_group(self) -> tuple[str, int, int]:
        status = self.sandbox.socket_path.stat()
        return f"{stat.S_IMODE(status.st_mode):o}", status.st_uid, status.st_gid

    # People.

    def home(self, person: Person) -> Path:
        home = self.sandbox.home(person.label)
        if not home.exists():
            home.mkdir(mode=0o700)
            os.chown(home, person.uid, person.gid)
        return home

    def certificate(self, person: Person) -> Path:
        return (
            self.home(person) / ".local/share/multipass-client-certificate" / "multipass_cert.pem"
        )

    def key(self, person: Person) -> Path:
        return self.certificate(person).with_name("multipass_cert_key.pem")

    def env(self, person: Person) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.home(person)),
            "MULTIPASS_ROOT_CERT": str(self.sandbox.root_cert),
            "MULTIPASS_SERVER_ADDRESS": self.sandbox.address,
        }

    @property
    def program(self) -> str:
        return str(self.copy / "bin" / "multipass")

    def run(
        self,
        person: Person,
        *arguments: str,
        input: str = "",
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Done:
        return subprocess.run(
            [*prefix, self.program, *arguments],
            env={**self.env(person), **(env or {})},
            cwd="/",
            input=input,
            capture_output=True,
            text=True,
            timeout=CLI_SECONDS,
            check=False,
            **person.credentials,
        )

    def spawn(self, person: Person, *arguments: str, env: Mapping[str, str] | None = None) -> Any:
        """The same without waiting for its end: a subprocess.Popen[str]."""
        return subprocess.Popen(
            [self.program, *arguments],
            env={**self.env(person), **(env or {})},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **person.credentials,
        )

    def converse(
        self, person: Person, arguments: Sequence[str], answers: Iterable[tuple[str, str]]
    ) -> Session:
        command = [self.program, *arguments]
        return converse(command, answers, self.env(person), credentials=person.credentials)

    def raw_call(self, person: Person, method: str) -> str:
        """Status and message; the person's certificate is presented if there is one."""
        certificate = self.certificate(person)
        identity = [str(certificate), str(self.key(person))] if certificate.exists() else []
        done = self._bare_python(person, RAW_CALL, self.sandbox.address, method, *identity)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def _bare_python(self, person: Person, program: str, *arguments: str) -> Done:
        return subprocess.run(
            ["/usr/bin/python3", "-IS", "-c", program, str(self.copy), *arguments],
            env=self.env(person),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=CLI_SECONDS,
            check=False,
            **person.credentials,
        )

    # Steps that many stories share.

    def enrol_first(self, person: Person) -> None:
        done = self.run(person, "list")
        assert (done.returncode, done.stdout, done.stderr) == (0, EMPTY_LIST, ""), done

    def set_passphrase(self, person: Person, passphrase: str) -> None:
        done = self.run(person, "set", f"local.passphrase={passphrase}")
        assert (done.returncode, done.stderr) == (0, ""), done

    def make_certificate(self, person: Person) -> None:
        """As the CLI makes it, without calling any service."""
        done = self._bare_python(person, MAKE_CERTIFICATE, str(self.certificate(person).parent))
        assert done.returncode == 0, done.stderr
        assert self.certificate(person).exists()

    def trusted(self, person: Person) -> bool:
        return fingerprint_of(self.certificate(person)) in self.stored()

    def stored(self) -> set[str]:
        """The fingerprints in the store's file."""
        text = self.store.read_text(encoding="ascii", errors="replace")
        return set(fingerprints_in(text))

    def until(self, condition: Callable[[], bool], what: str) -> float:
        """Seconds that it took."""
        try:
            return waiting.until(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.daemon.log_text()}") from None


def fingerprints_in(pem: str) -> list[str]:
    """Those of the whole certificates in a text, in its order."""
    found = []
    for block in pem.split(END)[:-1]:
        certificate = block[block.index(BEGIN) :] + END
        found.append(fingerprint(ssl.PEM_cert_to_DER_cert(certificate)))
    return found


def fingerprint_of(certificate: Path) -> str:
    return fingerprints_in(certificate.read_text(encoding="ascii"))[0]


def first_line(text: str) -> str:
    return text.partition("\n")[0] + "\n"


def end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()
