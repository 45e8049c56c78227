"""A program for inside a host, as root: guesses the passphrase from many uids and over TCP.

    guesser.py FIRST_UID UIDS SECONDS   (its own text on standard input of `python3 -I -`)

Prints a JSON object: by way (unix, tcp) and by what the service said, how many guesses.
"""

import json
import os
import sys
import time
from collections import Counter

sys.path.insert(0, "/usr/lib/multipass")

from client.errors import CommandFailed
from client.server import Server
from client.transport.channel import Channel
from client.transport.roots import Roots
from client.transport.server_identity import Peer
from protocol.addresses import Address, TcpAddress, UnixAddress
from protocol.certificates import make_client
from protocol.messages.access import AuthenticateRequest

UNIX = UnixAddress("/run/multipass_socket")
TCP = TcpAddress("localhost", 50051)
ROOT_CERTIFICATE = "/var/lib/multipassd/multipass_root_cert.pem"
PLACE = "/tmp/guesser"  # where the guesser's own certificate is

GUESSERS = {"unix": 8, "tcp": 2}  # processes; a guess that is let wait holds one up
PAUSE = 0.3  # seconds between one process's guesses: the machine is to have time for others


def main(arguments: list[str]) -> int:
    first, count, seconds = map(int, arguments)
    identity = _make_identity()
    give_up = time.monotonic() + seconds
    pipes = []
    for way, guessers in GUESSERS.items():
        for number in range(guessers):
            uids = range(first + number, first + count, guessers)
            pipes.append((way, _start(way, uids, identity, give_up)))
    told: dict[str, Counter[str]] = {way: Counter() for way in GUESSERS}
    for way, pipe in pipes:
        with os.fdopen(pipe) as file:
            told[way].update(json.load(file))
    print(json.dumps(told))
    return 0


def _make_identity() -> tuple[str, str]:
    pair = make_client()
    os.makedirs(PLACE, exist_ok=True)
    names = f"{PLACE}/cert.pem", f"{PLACE}/key.pem"
    for name, data in zip(names, (pair.certificate, pair.key), strict=True):
        with open(name, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
    return names


def _start(way: str, uids: range, identity: tuple[str, str], give_up: float) -> int:
    """A process that guesses until `give_up`; the end of the pipe that it tells by."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return reader
    try:
        os.setgroups([])
        os.setresgid(uids[0], uids[0], uids[0])
        said = _guess_on(UNIX if way == "unix" else TCP, uids, identity, give_up)
        os.write(writer, json.dumps(said).encode())
    finally:
        os._exit(0)


def _guess_on(
    address: Address, uids: range, identity: tuple[str, str], give_up: float
) -> Counter[str]:
    said: Counter[str] = Counter()
    number = 0
    while time.monotonic() < give_up:
        os.seteuid(uids[number % len(uids)])  # what the kernel tells the service
        try:
            said[_guess(address, identity, f"guess {number}", give_up)] += 1
        finally:
            os.seteuid(0)
        number += 1
        time.sleep(PAUSE)
    return said


def _guess(address: Address, identity: tuple[str, str], guess: str, give_up: float) -> str:
    peer = Peer(Server(address, Roots([ROOT_CERTIFICATE])), identity, lambda _: None)
    request = AuthenticateRequest(passphrase=guess).encode()
    try:
        for _ in Channel(peer, deadline=give_up).call("authenticate", request):
            pass
    except CommandFailed as error:
        return error.sentence.splitlines()[0]
    return "RIGHT"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
