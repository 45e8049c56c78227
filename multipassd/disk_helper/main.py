"""The helper: one request on the socket that is its stdin, one run of qemu-img, one answer.

It gives up all rights before it reads anything. In the deb systemd has done that already, more
strictly than a process can by itself (multipass-disks@.service); as a child of root's daemon it
becomes a user without rights and leaves the network. qemu-img can open only the files that were
passed to it, whose modes allow that.
"""

from __future__ import annotations

import os
import resource
import selectors
import shutil
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from multipassd.auth.run_as_user import take_on
from multipassd.disk_helper import request
from multipassd.disk_helper.owner import group, user
from multipassd.disk_helper.request import Answer
from multipassd.system import installation, json_request, rights
from multipassd.system.installation import Kind
from multipassd.system.json_request import RequestFailed

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
MEMORY = 2 << 30  # bytes of address space, most of it never touched
FILES = 64
MAX_WRITTEN = {"info": 0, "measure": 0, "check": 0, "dd": 1 << 20}  # bytes; others make disks
REPAIR = "-r"  # a check with this option writes, too
CHUNK = 64 << 10
MAX_OUTPUT = request.MAX_ANSWER // 8  # bytes; JSON encodes one as up to six
POLL = 0.01  # seconds between checks for the end of a program that closed its output


def main() -> int:
    with socket.socket(fileno=0) as connection:
        program = _program()
        _give_up_rights()
        try:
            answer = _answer(program, *_received(connection), connection)
        except (RequestFailed, ValueError, OSError) as error:
            answer = Answer(1, "", f"the request can't be served: {error}")
        with suppress(RequestFailed):  # the caller is gone
            json_request.answer(connection, answer)
    return 0


def _give_up_rights() -> None:
    rights.no_new_privileges()
    if os.geteuid() == 0:
        with suppress(OSError):  # a snap may not, and has its own confinement
            rights.leave_network()
        take_on(user(), group(), ())
    os.umask(0)  # the directories of its files keep other users out
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _received(connection: socket.socket) -> tuple[list[str], list[int]]:
    """The words of the request, and the open files, from descriptor FIRST on. Raises RequestFailed,
    ValueError."""
    message, descriptors = json_request.receive_with_files(
        connection, list, limit=request.MAX_REQUEST, most_files=request.MAX_FILES
    )
    return request.words(message), [
        os.dup2(descriptor, request.FIRST + index) for index, descriptor in enumerate(descriptors)
    ]


def _program() -> str:
    """Path of qemu-img, found before rights are given up, as PATH may have directories that other
    users can't enter."""
    found = shutil.which(request.PROGRAM, path=_environment()["PATH"])
    return os.path.realpath(found) if found else request.PROGRAM


def _answer(
    program: str, words: Sequence[str], descriptors: Sequence[int], caller: socket.socket
) -> Answer:
    try:
        process = subprocess.Popen(
            [program, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=descriptors, cwd="/", env=_environment(),
            preexec_fn=lambda: _limit(words),
        )  # fmt: skip
    except (FileNotFoundError, PermissionError):
        return Answer(request.MISSING, "", f"{request.PROGRAM} is not installed")
    with process:
        output, errors = _output(process, caller)
        return Answer(
            process.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")
        )


def _output(process: subprocess.Popen[bytes], caller: socket.socket) -> tuple[bytes, bytes]:
    """Its whole output and errors; it is killed if they are too long, or if the caller hangs up."""
    assert process.stdout is not None and process.stderr is not None
    output = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    with selectors.DefaultSelector() as selector:
        for number in (caller.fileno(), *output):
            selector.register(number, selectors.EVENT_READ)
        while process.poll() is None:
            # No time-out is needed while a pipe is open: it reports the end, too.
            timeout = None if len(selector.get_map()) > 1 else POLL
            for key, _ in selector.select(timeout):
                chunk = os.read(key.fd, CHUNK)
                if key.fd in output:
                    output[key.fd] += chunk
                if key.fd == caller.fileno() or sum(map(len, output.values())) > MAX_OUTPUT:
                    process.kill()
                    process.wait()
                elif not chunk:
                    selector.unregister(key.fd)
    for number, data in output.items():
        data += _rest(number)
    return bytes(output[process.stdout.fileno()]), bytes(output[process.stderr.fileno()])


def _rest(number: int) -> bytes:
    """What is left in a pipe whose writer has ended."""
    os.set_blocking(number, False)
    with suppress(BlockingIOError):
        return os.read(number, CHUNK)
    return b""


def _limit(words: Sequence[str]) -> None:
    rights.end_with_parent()
    seconds = request.LONG_CPU_SECONDS if words[0] in request.LONG else request.CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (request.FIRST + FILES, request.FIRST + FILES))
    verb = words[0]
    if verb in MAX_WRITTEN and REPAIR not in words:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_WRITTEN[verb], MAX_WRITTEN[verb]))


def _environment() -> dict[str, str]:
    """A snap's programs and their libraries lie elsewhere; snapd has set where."""
    path = {"PATH": os.environ.get("PATH", SEARCH_PATH)}
    libraries = {}
    if installation.here().kind is Kind.SNAP and "LD_LIBRARY_PATH" in os.environ:
        libraries = {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]}
    # One arena: each reserves 64 MiB of the address space, which is limited.
    return {"LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1", **path, **libraries}
