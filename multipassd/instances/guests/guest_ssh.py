"""Commands inside a guest, by OpenSSH's client: it starts fast and leaves nothing resident.

A guest whose host key is not known yet, as its first boot was not of this service, is believed
once: `learn` returns the key that it has shown at a log-in that succeeded.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from multipassd.cloudinit.ssh_keys import SshKey
from multipassd.cloudinit.userdata import USER
from multipassd.drivers.interface import DriverError
from multipassd.instances.states.errors import GuestSilent
from multipassd.system import ssh_command
from multipassd.system.programs import child

MAX_OUTPUT = 64 * 1024  # what a guest may tell us in one go; it is not trusted
MAX_HOST_KEY = 8192  # bytes of its line; one of RSA with 16384 bits has 2800


@dataclass(frozen=True)
class Endpoint:
    """Where a guest's SSH is reached, and what its host key must be."""

    name: str
    host: str
    port: int
    host_key: str  # "ssh-ed25519 AAAA…"; empty: not known yet
    user: str = USER
    answer_seconds: int = ssh_command.CONNECT_SECONDS  # for it to greet a new connection
    run: str = ""  # names the time from one start to the next end, and no other


async def run(endpoint: Endpoint, key: Path, command: str, seconds: float) -> str:
    """What the command printed, if it ended with 0. Raises GuestSilent, and DriverError where no
    attempt could succeed."""
    output, _ = await learn(endpoint, key, command, seconds)
    return output


async def run_certified(
    endpoint: Endpoint, key: SshKey, certificate: str, command: str, seconds: float
) -> tuple[str, str]:
    """As `learn`, by a certificate for a key that is in no file."""
    with _in_memory(key.private) as private, _in_memory(certificate.encode()) as public:
        more = {"CertificateFile": str(public)}
        return await learn(endpoint, private, command, seconds, more)


@contextmanager
def _in_memory(data: bytes) -> Iterator[Path]:
    """A file that this process alone has, by its descriptor."""
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o600)  # else ssh would not use it
        os.write(descriptor, data)
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)


async def learn(
    endpoint: Endpoint,
    key: Path,
    command: str,
    seconds: float,
    more: Mapping[str, str] = ssh_command.NONE,
) -> tuple[str, str]:
    """The same, and the host key: the one that was known, or that the guest has shown now. `more`:
    further options of ssh."""
    known = os.memfd_create("known_hosts", os.MFD_CLOEXEC)
    try:
        if endpoint.host_key:
            os.write(known, f"{endpoint.name} {endpoint.host_key}\n".encode())
        ssh = _command(endpoint, key, known, more)
        output = await _run(ssh, endpoint.name, command, seconds)
        return output, endpoint.host_key or _shown(os.pread(known, MAX_HOST_KEY, 0), endpoint.name)
    finally:
        os.close(known)


def _shown(line: bytes, name: str) -> str:
    """The host key that ssh has written down. Raises GuestSilent."""
    words = line.decode("ascii", "replace").split()
    if len(words) < 3 or not all(word.isprintable() for word in words):
        raise GuestSilent(f"{name} has shown no host key")
    return f"{words[1]} {words[2]}"


async def _run(ssh: list[str], name: str, command: str, seconds: float) -> str:
    async with child(*ssh, command, stdout=PIPE) as process:
        try:
            async with asyncio.timeout(seconds):
                assert process.stdout is not None
                output = await _read(process.stdout, name)
                code = await process.wait()
        except TimeoutError:
            raise GuestSilent(f"{name} did not answer within {seconds:.0f} s") from None
    if code:
        await asyncio.to_thread(_check_user)
        raise GuestSilent(f"{name}: ssh ended with {code}")
    return output.decode("utf-8", "replace")


def _check_user() -> None:
    """OpenSSH refuses users who are not listed, and its exit code is that of a guest which does not
    answer. Raises DriverError."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise DriverError(
            f"Instances can't be reached: the service runs with user id {os.getuid()}, which has "
            "no entry in /etc/passwd, and ssh refuses to work for it. Please add an entry, or run "
            "the service as a listed user."
        ) from None


async def _read(stream: asyncio.StreamReader, name: str) -> bytes:
    """Up to its end. Raises GuestSilent when it goes on and on."""
    output = b""
    while chunk := await stream.read(MAX_OUTPUT):
        output += chunk
        if len(output) > MAX_OUTPUT:
            raise GuestSilent(f"{name} said more than {MAX_OUTPUT} bytes")
    return output


def _command(endpoint: Endpoint, key: Path, known: int, more: Mapping[str, str]) -> list[str]:
    # In memory, so nothing is left. KnownHostsCommand= fails for root without rights.
    known_hosts = f"/proc/{os.getpid()}/fd/{known}"
    where = endpoint.name, endpoint.host, endpoint.port, endpoint.user
    more = {**more, "ConnectTimeout": str(endpoint.answer_seconds)}
    if not endpoint.host_key:
        more["StrictHostKeyChecking"] = "accept-new"
    return ssh_command.words(*where, key=str(key), known_hosts=known_hosts, more=more)
