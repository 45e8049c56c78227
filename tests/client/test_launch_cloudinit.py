"""Where `launch --cloud-init` takes its text from, and what is refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from protocol.messages.launch import LaunchReply, LaunchRequest
from tests.client.service import Connect, replying


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: b: c", "\tx: 1", "a: 1\n---\nb: 2", "x: !!nope 1", 'x: !!int ""', "? [a]\n: b",
     "!!timestamp x", "a: 1\nb: 2\na: 3"],
)  # fmt: skip
def test_bad_yaml_is_refused_before_anything_is_sent(
    connect: Connect, tmp_path: Path, text: str
) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    result = program.run("launch", "--cloud-init", "-", input=text.encode())
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Could not load cloud-init configuration: ")
    assert len(result.err.splitlines()) == 1
    assert service.requests == {}
    result = program.run("launch", "--cloud-init", "-", input=b"\xff\xfe")
    assert result.err == "Could not load cloud-init configuration: it is not UTF-8 text\n"


def test_cloud_init_is_taken_from_a_pipe_a_fifo_and_a_url(connect: Connect, tmp_path: Path) -> None:
    import functools
    import http.server

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    text = "#cloud-config\nwrite_files:\n- {path: /x, content: 'é'}\n"
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "init").write_text(text)
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{web.server_address[1]}"
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_text(text))
    writer.start()
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    try:
        assert program.run("launch", "--cloud-init", "-", input=text.encode()).code == 0
        assert program.run("launch", "--cloud-init", str(tmp_path / "fifo")).code == 0
        assert program.run("launch", "--cloud-init", f"{url}/init").code == 0
        result = program.run("launch", "--cloud-init", f"{url}/nothing")
        assert result.code == 1
        assert "HTTP Error 404" in result.err
    finally:
        writer.join()
        web.shutdown()
        web.server_close()
    sent = [LaunchRequest.decode(data) for data in service.requests["launch"]]
    assert [request.cloud_init_user_data for request in sent] == [text] * 3


def test_a_file_that_only_others_may_read_is_told_apart(connect: Connect, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    program, _ = connect()
    (tmp_path / "secret").write_text("a: 1\n")
    (tmp_path / "secret").chmod(0)
    result = program.run("launch", "--cloud-init", str(tmp_path / "secret"))
    assert result.code == 1 and result.err.endswith("\nPermission denied.\n")


@pytest.mark.parametrize("text", ["", " \n\n", "# a note\n", "---\n...\n"])
def test_an_empty_configuration_is_refused(connect: Connect, tmp_path: Path, text: str) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    (tmp_path / "empty").write_text(text)
    for source in ("-", str(tmp_path / "empty")):
        result = program.run("launch", "--cloud-init", source, input=text.encode())
        assert (result.code, result.out) == (1, "")
        said = "Could not load cloud-init configuration: it is empty, or has nothing but comments"
        assert result.err == f"{said}\n"
    assert service.requests == {}


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\n",
        "#!/bin/sh\necho 'a: [' {{ x }}\n",
        "#include\nhttp://example.invalid/\n",
        "## template: jinja\n#cloud-config\n{% if x %}\na: {{ b }}\n{% endif %}\n",
        "Content-Type: multipart/mixed; boundary=x\nMIME-Version: 1.0\n\n--x--\n",
    ],
)
def test_whatever_cloud_init_takes_is_sent_as_it_is(connect: Connect, text: str) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    assert program.run("launch", "--cloud-init", "-", input=text.encode()).code == 0
    (sent,) = service.requests["launch"]
    assert LaunchRequest.decode(sent).cloud_init_user_data == text
