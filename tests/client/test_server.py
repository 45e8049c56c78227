"""Which service is meant, and what that costs those who have no remotes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from client import server
from client.remotes.table import Remote, Remotes
from protocol.addresses import TcpAddress
from protocol.certificates import make_root

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATE = make_root().certificate.decode()
FIND = """
import sys
from client import server
found = server.find({}, sys.argv[1])
print(found)
print(*sorted(name for name in sys.modules if name.startswith(("client.remotes", "json"))))
"""


def test_without_remotes_none_of_their_code_is_loaded(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{FIND}",
    ]
    done = subprocess.run(
        [*command, f"{tmp_path}/none"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "unix:/run/multipass_socket\n\n"


def test_the_environment_goes_first_and_each_server_has_its_own_certificate(
    tmp_path: Path,
) -> None:
    remotes, file = Remotes(), tmp_path / "remotes.json"
    remotes.keep(Remote("lab:1", "lab", CERTIFICATE))
    file.write_text(remotes.text())

    def found(**environ: str) -> server.Server:
        return server.find(environ, str(file))

    assert str(found()) == "unix:/run/multipass_socket"
    remotes.default = "lab"
    file.write_text(remotes.text())
    assert str(found()) == "lab (lab:1)" and found().roots.load() == CERTIFICATE
    assert str(found(MULTIPASS_ROOT_CERT="/none")) == "lab (lab:1)"
    assert found(MULTIPASS_ROOT_CERT="/none").roots.load() == CERTIFICATE
    socket = found(MULTIPASS_SERVER_ADDRESS="unix:/x", MULTIPASS_ROOT_CERT="/none")
    assert str(socket) == "unix:/x" and socket.roots.load() is None and not socket.remote
    known = found(MULTIPASS_SERVER_ADDRESS="LAB:1")
    assert isinstance(known.address, TcpAddress) and known.roots.load() == CERTIFICATE
    explicit = found(MULTIPASS_SERVER_ADDRESS="lab:1", MULTIPASS_ROOT_CERT="/none")
    assert explicit.roots.load() is None
    assert found(MULTIPASS_SERVER_ADDRESS="lab:2").roots.load() != CERTIFICATE
