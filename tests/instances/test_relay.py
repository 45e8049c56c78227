"""`exec`, `shell`, `transfer` from another machine: two hosts are network namespaces, and only the
service's reaches the instance, on real QEMU."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.guests.background import OnTerminal
from tests.client.program import Program
from tests.instances.site import Site, site
from tests.interop.laptop import LINE, Laptop
from tests.multipassd.network.netns import REQUIRED, Namespace, connect, namespace
from tests.waiting import PATIENCE, until
from tools.sandbox import MULTIPASS

pytestmark = REQUIRED

NAME = "far"
SERVER, LAPTOP = "192.0.2.1", "192.0.2.2"
ADDRESS = f"{SERVER}:50051"
LOST = "the connection to the service ended before it answered"


class Remote:
    """bob's laptop, whose default remote is the service."""

    def __init__(self, place: Namespace, service: Site, home: Path) -> None:
        self._place = place
        self._service = service
        self._laptop = Laptop(home)
        self.join()

    def join(self) -> None:
        said = self._service.done("invite", "bob", "--role", "admin")
        found = LINE.search(said)
        assert found, said
        self.done("remote", "add", "lab", ADDRESS, found[1])
        self.done("remote", "use", "lab")

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._place.entering(str(MULTIPASS), *words), env=self._laptop.environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
        )  # fmt: skip

    def done(self, *words: str, input: str = "") -> str:
        running = self.start(*words)
        out, err = running.communicate(input, timeout=4 * PATIENCE)
        assert running.returncode == 0, (words, out, err, self._service.daemon.log_text()[-3000:])
        return out

    def in_the_middle(self) -> subprocess.Popen[str]:
        """A command that runs in the instance, and would for long."""
        running = self.start("exec", NAME, "--", "sh", "-c", "echo up; exec sleep 987654")
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n", running.communicate()
        return running

    def on_terminal(self, *words: str) -> OnTerminal:
        program = Program(self._laptop.home, "", self._laptop.home)
        program.environ = self._laptop.environ
        return OnTerminal(program, *words, entering=self._place.entering())


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace() as server, namespace() as laptop:
        connect(server, "eth0", laptop, "eth0")
        server.run("ip", "address", "add", f"{SERVER}/24", "dev", "eth0")
        laptop.run("ip", "address", "add", f"{LAPTOP}/24", "dev", "eth0")
        yield server, laptop


@pytest.fixture(scope="module")
def service(tiny_image: None, hosts: tuple[Namespace, Namespace]) -> Iterator[Site]:
    with site(inside=hosts[0].entering(), addresses=[ADDRESS]) as running:
        launched = running.launch(NAME)
        assert launched.returncode == 0, launched
        yield running


@pytest.fixture(scope="module")
def laptop(
    hosts: tuple[Namespace, Namespace], service: Site, tmp_path_factory: pytest.TempPathFactory
) -> Remote:
    return Remote(hosts[1], service, tmp_path_factory.mktemp("bob") / "home")


def test_a_command_runs_with_its_input_output_errors_and_exit_code(laptop: Remote) -> None:
    running = laptop.start("exec", NAME, "--", "sh", "-c", "cat; echo wrong >&2; exit 7")
    assert running.communicate("some input", timeout=4 * PATIENCE) == ("some input", "wrong\n")
    assert running.returncode == 7


def test_a_shell_has_a_terminal_that_follows_the_size_of_the_own(laptop: Remote) -> None:
    client = laptop.on_terminal("shell", NAME)
    try:
        client.type(b"stty size; echo re''ady\r")
        client.wait_for(b"33 77")
        client.wait_for(b"ready")
        client.resize(44, 88)
        client.type(b"stty size\r")
        client.wait_for(b"44 88")
        client.type(b"exit\r")
        assert client.process.wait(PATIENCE) == 0
    finally:
        client.close()


def test_a_large_file_goes_there_and_back_as_it_is(laptop: Remote, tmp_path: Path) -> None:
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(os.urandom(16 << 20))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    laptop.done("transfer", str(file), f"{NAME}:file")
    assert laptop.done("exec", NAME, "--", "sha256sum", "file").split()[0] == digest
    laptop.done("transfer", f"{NAME}:file", str(back))
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest


def test_a_client_that_is_told_to_end_leaves_nothing_behind(laptop: Remote) -> None:
    running = laptop.in_the_middle()
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=PATIENCE)
    assert running.returncode == 128 + signal.SIGTERM
    until(lambda: not _processes_with("987654"), "the end of all its processes")


def test_a_killed_service_ends_the_command_with_a_reason_and_the_next_goes_on(
    laptop: Remote, service: Site
) -> None:
    running = laptop.in_the_middle()
    service.kill_daemon()
    out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, out) == (2, "")
    assert err.startswith(f"exec failed: {LOST}\n")
    assert laptop.done("exec", NAME, "--", "echo", "again") == "again\n"


def test_a_service_that_stops_says_so(laptop: Remote, service: Site) -> None:
    running = laptop.in_the_middle()
    service.daemon.restart()
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 2
    assert err.startswith("exec failed: The service on the instance's host stops or restarts.")
    assert laptop.done("exec", NAME, "--", "echo", "again") == "again\n"


def test_a_client_for_whom_the_instance_exists_no_more_is_out_of_it(
    laptop: Remote, service: Site
) -> None:
    running = laptop.in_the_middle()
    service.done("grant", "bob", "user")
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 2
    assert err.startswith(f'exec failed: instance "{NAME}" does not exist\n')
    service.done("grant", "bob", "admin")


def test_a_revoked_client_is_out_of_the_instance_at_once(laptop: Remote, service: Site) -> None:
    running = laptop.in_the_middle()
    service.done("revoke", "bob")
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 2
    assert err.startswith("exec failed: the service does not trust this client any more\n")
    refused = laptop.start("exec", NAME, "--", "true")
    refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 2
    laptop.join()
    assert laptop.done("exec", NAME, "--", "echo", "back") == "back\n"


def test_an_instance_that_stops_ends_the_command(laptop: Remote, service: Site) -> None:
    running = laptop.in_the_middle()
    service.done("stop", "--force", NAME)
    running.communicate(timeout=PATIENCE)
    assert running.returncode == 2
    refused = laptop.start("transfer", "/etc/hostname", f"{NAME}:x")
    _, err = refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 2
    assert err.startswith(f'transfer failed: instance "{NAME}" is not running\n')


def test_what_goes_by_content_works_and_what_names_a_file_of_the_host_says_why_not(
    laptop: Remote, service: Site, tmp_path: Path
) -> None:
    service.done("stop", "--force", NAME)
    file = tmp_path / "file"
    laptop.done("export", NAME, str(file))
    assert file.stat().st_size > 1 << 20
    for words in (["import", str(file)], ["launch", service.url]):
        refused = laptop.start(*words)
        _, err = refused.communicate(timeout=PATIENCE)
        assert refused.returncode == 2
        assert "is a file of the service's host" in err and "Copy the file to that host" in err


def _processes_with(word: str) -> list[Path]:
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (each / "cmdline").read_bytes():
                found.append(each)
        except OSError:
            continue
    return found
