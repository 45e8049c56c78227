"""The sockets: whose, how open, live or dead, and accepting within the cap."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.transport import listener
from multipassd.transport.listener import Acceptor, Listener, ListenError
from multipassd.transport.quota import limits
from protocol.addresses import TcpAddress, UnixAddress
from tests.conftest import DaemonFactory
from tools.sandbox import Sandbox, daemon_command


@pytest.fixture
def path(sandbox: Sandbox) -> Path:
    return sandbox.socket_path


@pytest.fixture
def bound(path: Path) -> Iterator[Listener]:
    found = bind(path)
    yield found
    found.close()


def bind(path: Path, group: int = 0) -> Listener:
    (found,) = listener.bind(UnixAddress(str(path)), group)
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestBinding:
    def test_a_live_socket_is_not_taken_over(self, bound: Listener, path: Path) -> None:
        with pytest.raises(ListenError, match="another service is listening on"):
            bind(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            bound.socket.accept()

    def test_a_live_socket_with_a_full_queue_is_alive_too(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as busy:
            busy.bind(str(path))
            busy.listen(0)
            waiting = []
            for _ in range(3):
                caller = socket.socket(socket.AF_UNIX)
                caller.setblocking(False)
                waiting.append(caller)
                try:
                    caller.connect(str(path))
                except BlockingIOError:
                    break
            with pytest.raises(ListenError, match="another service"):
                bind(path)
            for each in waiting:
                each.close()

    def test_a_dead_socket_is_cleared_away(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        bound = bind(path)
        bound.close()
        assert not path.exists()

    @pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
    def test_something_else_is_left_alone(self, path: Path, kind: str) -> None:
        if kind == "file":
            path.write_text("precious")
        elif kind == "directory":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("/nowhere")
        else:
            os.mkfifo(path)
        before = path.lstat()
        with pytest.raises(ListenError, match="no socket is there"):
            bind(path)
        assert path.lstat() == before

    def test_a_directory_that_is_missing_is_named(self, path: Path) -> None:
        with pytest.raises(ListenError, match="No such file or directory"):
            bind(path / "deeper")

    def test_of_two_at_once_one_wins(self, path: Path) -> None:
        won: list[Listener] = []
        lost: list[ListenError] = []

        def attempt() -> None:
            try:
                won.append(bind(path))
            except ListenError as error:
                lost.append(error)

        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert (len(won), len(lost)) == (1, 7)
        won[0].close()

    def test_closing_leaves_a_successors_socket(self, bound: Listener, path: Path) -> None:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
            bound.close()
            assert path.exists()

    def test_tcp_port_in_use_is_a_sentence(self) -> None:
        (bound,) = listener.bind(TcpAddress("127.0.0.1", 0), 0)
        port = bound.socket.getsockname()[1]
        with pytest.raises(ListenError, match=f"can't listen on 127.0.0.1:{port}: .*in use"):
            listener.bind(TcpAddress("127.0.0.1", port), 0)
        bound.close()

    def test_an_unknown_host_is_a_sentence(self) -> None:
        with pytest.raises(ListenError, match="can't listen on nowhere.invalid:1: "):
            listener.bind(TcpAddress("nowhere.invalid", 1), 0)


class TestModes:
    @pytest.mark.root
    def test_closed_to_the_group_then_open_to_all(self, path: Path) -> None:
        bound = bind(path, group=12345)
        assert (mode(path), path.stat().st_uid, path.stat().st_gid) == (0o660, 0, 12345)
        bound.set_mode(True, 12345)
        assert (mode(path), path.stat().st_gid, bound.group) == (0o666, 12345, 12345)
        bound.set_mode(False, 12345)
        assert mode(path) == 0o660
        bound.close()

    def test_without_root_closed_is_the_owners(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(os, "chown", lambda *_: pytest.fail("chown"))
        bound = bind(path, group=12345)
        assert mode(path) == 0o600
        bound.set_mode(True, 12345)
        assert mode(path) == 0o666
        bound.close()

    def test_what_replaced_the_socket_keeps_its_mode(self, bound: Listener, path: Path) -> None:
        path.unlink()
        path.write_text("not ours")
        path.chmod(0o640)
        bound.set_mode(True, 0)
        assert mode(path) == 0o640
        path.unlink()
        bound.set_mode(True, 0)

    def test_umask_is_as_before(self, bound: Listener) -> None:
        before = os.umask(0o022)
        os.umask(before)
        assert before != 0o177


class TestAccepting:
    def test_it_pauses_at_the_cap_and_goes_on_after(self, bound: Listener, path: Path) -> None:
        taken: list[socket.socket] = []

        async def story() -> None:
            acceptor = Acceptor(bound, lambda: len(taken) < 3, taken.append)
            acceptor.start()
            clients = [socket.socket(socket.AF_UNIX) for _ in range(5)]
            for each in clients:
                each.connect(str(path))
            await asyncio.sleep(0.05)
            assert len(taken) == 3
            taken.pop().close()
            acceptor.resume()
            await asyncio.sleep(0.05)
            assert len(taken) == 3
            acceptor.stop()
            taken.pop().close()
            acceptor.resume()
            await asyncio.sleep(0.05)
            assert len(taken) == 2, "stopped stays stopped"
            for each in [*clients, *taken]:
                each.close()

        asyncio.run(story())

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ENETDOWN, errno.EPROTO])
    def test_a_kernel_that_refuses_is_asked_again(
        self, path: Path, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "ACCEPT_PAUSE", 0.02)
        calls = 0

        class Refusing(socket.socket):
            def accept(self) -> tuple[socket.socket, object]:
                nonlocal calls
                calls += 1
                if calls < 3:
                    raise OSError(number, os.strerror(number))
                return super().accept()

        taken: list[socket.socket] = []

        async def story() -> None:
            with Refusing(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
                listening.bind(str(path))
                listening.listen()
                acceptor = Acceptor(Listener(listening, False), lambda: True, taken.append)
                acceptor.start()
                client.connect(str(path))
                for _ in range(200):
                    await asyncio.sleep(0.01)
                    if taken:
                        break
                acceptor.stop()

        asyncio.run(story())
        assert len(taken) == 1 and calls < 10, "it does not spin"
        taken[0].close()


class TestDaemons:
    def test_a_second_daemon_is_refused_and_the_first_goes_on(self, daemon: DaemonFactory) -> None:
        first = daemon()
        command = daemon_command("--address", first.address)
        second = subprocess.run(
            command, env=first.sandbox.daemon_env(), capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 1
        assert "another service is listening on" in second.stderr
        assert "Traceback" not in second.stderr
        first.connect().close()

    def test_the_socket_of_a_killed_daemon_is_cleared_away(self, daemon: DaemonFactory) -> None:
        running = daemon()
        running.kill()
        assert running.socket_path.exists()
        running.start()
        running.connect().close()
        running.stop()
        assert not running.socket_path.exists()
