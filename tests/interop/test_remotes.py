"""Services on other machines: real daemons over TCP, and clients with an empty home."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protocol.certificates import make_client, make_root
from protocol.invitation_line import pin_of
from protocol.messages.access import PingReply
from protocol.messages.trust import RootsReply
from protocol.pem import fingerprint, pem_to_der
from protocol.status import Status
from tests import ports
from tests.client.program import Program
from tests.client.service import Service, failing, replying
from tests.client.terminal import Terminal
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.interop.laptop import Laptop, Site, serving
from tests.interop.recorder import Recorder

EMPTY = "No instances found.\n"
NOT_IDENTIFIED = "the service could not be identified, so nothing was sent to it"


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path / "laptop")


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def site(daemon: DaemonFactory) -> Iterator[Site]:
    with serving(daemon) as served:
        yield served


def test_another_machine_joins_with_one_line_and_is_used_by_name(
    site: Site, laptop: Laptop
) -> None:
    said = laptop.done("remote", "add", "lab", site.address, site.invite())
    assert said.startswith(f"lab ({site.address}) is kept.\n")
    assert stat.S_IMODE(laptop.file.stat().st_mode) == 0o600
    assert "cannot connect" in laptop.fails("list"), "the default is this machine still"
    assert laptop.done("remote", "use", "lab").startswith(f"Commands talk to lab ({site.address})")
    assert laptop.done("list") == EMPTY
    assert f"\nremote      lab ({site.address})\n" in laptop.done("version")
    assert "bob" in site.names()
    refused = laptop.fails("purge")
    assert "Your role 'viewer' does not allow this." in refused
    assert f"\n(remote lab ({site.address}); `multipass remote use local` goes back" in refused
    site.daemon.stop()
    gone = laptop.fails("list")
    assert gone.startswith("list failed: cannot connect to the multipass socket\n")
    assert f"(remote lab ({site.address});" in gone
    assert laptop.done("remote", "use", "local") == "Commands talk to this machine's service now.\n"
    assert "remote lab" not in laptop.fails("list")


def test_a_line_authenticates_over_tcp_in_an_empty_home(site: Site, laptop: Laptop) -> None:
    named = {"MULTIPASS_SERVER_ADDRESS": site.address}
    assert "no usable root certificate" in laptop.fails("list", **named)
    asked = laptop.done("authenticate", **named, input=site.invite() + "\n")
    assert asked == "Please enter the invitation: \n"
    assert laptop.done("list", **named) == EMPTY
    again = laptop.fails("authenticate", site.invite("carol"), **named)
    assert "trusted already, as viewer" in again
    assert "lab (" in laptop.done("remote", "add", "lab", site.address)  # needs no line
    assert "no invitation was used" in laptop.done("remote", "add", "lab", site.address)


def test_a_line_that_is_asked_for_is_not_echoed(
    site: Site, laptop: Laptop, terminals: list[Terminal]
) -> None:
    line = site.invite()
    program = Program(laptop.home, "", laptop.home)
    program.environ = laptop.environ
    terminal = Terminal(program, "remote", "add", "lab", site.address)
    terminals.append(terminal)
    terminal.answer("Please enter the invitation: ", f"{line}\n".encode())
    assert terminal.finish() == (0, "")
    assert line[:10] not in terminal.shown and "is kept." in terminal.shown


def test_a_line_is_a_passphrase_for_a_client_of_1_16_and_for_ours_on_the_same_machine(
    site: Site, laptop: Laptop
) -> None:
    with GrpcClient(site.daemon, make_client(), site.address) as client:
        assert client.call("authenticate", passphrase=site.invite()).status is Status.OK
        assert client.call("list").status is Status.OK
    done = site.daemon.cli("bob", "authenticate", site.invite("carol"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_line_of_another_server_is_sent_nowhere_and_stays_good(
    daemon: DaemonFactory, laptop: Laptop
) -> None:
    with serving(daemon) as here, serving(daemon) as there:
        line = here.invite()
        for words in (
            ("remote", "add", "lab", there.address, line),
            ("authenticate", line),
        ):
            said = laptop.fails(*words, MULTIPASS_SERVER_ADDRESS=there.address)
            assert NOT_IDENTIFIED in said and "The invitation is of another service" in said
        assert not laptop.file.exists()
        assert "authenticate" not in there.daemon.log_text()
        assert "invitation" not in there.daemon.log_text()
        assert "is kept." in laptop.done("remote", "add", "lab", here.address, line)


def test_a_wrong_server_hears_neither_the_line_nor_who_asks(site: Site, laptop: Laptop) -> None:
    line = site.invite()
    with Recorder() as recorder:
        laptop.fails("remote", "add", "lab", recorder.address, line)
        laptop.fails("authenticate", line, MULTIPASS_SERVER_ADDRESS=recorder.address)
        heard = b"".join(recorder.heard)
        assert b"multipass.Trust" in heard or len(heard) > 20, "the question for its certificate"
        assert line.split("-")[1].encode() not in heard and b"mpi1" not in heard
        assert not any(recorder.certificates)
    assert laptop.certificate.exists()


def test_a_server_that_repeats_the_certificate_of_another_hears_no_more(
    site: Site, laptop: Laptop, tmp_path: Path
) -> None:
    genuine = RootsReply(certificates=site.daemon.root_cert.read_text())
    heard = {"authenticate": failing(grpc.StatusCode.INTERNAL, ""), "ping": replying()}
    false = Service("127.0.0.1:0", tmp_path, roots=replying(genuine), **heard)
    try:
        address = f"127.0.0.1:{false.port}"
        said = laptop.fails("remote", "add", "lab", address, site.invite())
        assert NOT_IDENTIFIED in said
        assert "does not verify against the certificate that the invitation names" in said
        assert false.requests == {"roots": [b""]}
    finally:
        false.close()


def test_a_line_that_is_not_whole_is_told_apart_and_sent_nowhere(
    site: Site, laptop: Laptop
) -> None:
    line = site.invite()
    other = "b" if line[50] == "a" else "a"
    with Recorder() as recorder:
        for damaged in (line[:-1], line[:50] + other + line[51:], line[:36] + line[40:], "mpi1-"):
            said = laptop.fails("remote", "add", "lab", recorder.address, damaged)
            assert "This is not the whole invitation, so nothing was sent" in said
        for without in (line.partition(".")[0], "a passphrase"):
            said = laptop.fails("remote", "add", "lab", recorder.address, without)
            assert "Nothing says by which certificate" in said
        assert not recorder.heard
    assert "is kept." in laptop.done("remote", "add", "lab", site.address, f"  {line}\n")


def test_a_line_is_not_spent_where_the_server_can_not_be_kept(site: Site, laptop: Laptop) -> None:
    line = site.invite()
    laptop.file.parent.parent.mkdir()
    laptop.file.parent.write_text("a file in the place of the directory")
    for words in (("remote", "add", "lab", site.address, line), ("authenticate", line)):
        said = laptop.fails(*words, MULTIPASS_SERVER_ADDRESS=site.address)
        assert f"the remotes in {laptop.file} can't be " in said
    laptop.file.parent.unlink()
    assert "is kept." in laptop.done("remote", "add", "lab", site.address, line)


def test_a_line_that_is_refused_leaves_what_was_kept(
    site: Site, laptop: Laptop, tmp_path: Path
) -> None:
    line = site.invite()
    laptop.done("remote", "add", "lab", site.address, line)
    kept = laptop.file.read_text()
    laptop.certificate.unlink()
    (laptop.certificate.parent / "multipass_cert_key.pem").unlink()
    assert "This invitation was used" in laptop.fails("remote", "add", "lab", site.address, line)
    assert laptop.file.read_text() == kept
    other = Laptop(tmp_path / "other")
    assert "This invitation was used" in other.fails("remote", "add", "lab", site.address, line)
    assert json.loads(other.file.read_text())["servers"] == []
    other.file.write_text(kept)  # as after a kill before the line was sent
    line = site.invite("carol")
    assert other.done("remote", "add", "lab", site.address, line).startswith("lab (")
    assert "carol" in site.names()


def test_a_spent_line_helps_only_the_client_that_spent_it(
    site: Site, laptop: Laptop, tmp_path: Path
) -> None:
    line = site.invite()
    named = {"MULTIPASS_SERVER_ADDRESS": site.address}
    laptop.done("authenticate", line, MULTIPASS_ROOT_CERT=str(site.daemon.root_cert), **named)
    laptop.file.unlink()  # as after a kill before it was written
    other = Laptop(tmp_path / "other")
    assert "This invitation was used" in other.fails("remote", "add", "lab", site.address, line)
    said = laptop.done("remote", "add", "lab", site.address, line)
    assert "This client was trusted there already" in said


def test_a_copy_of_the_root_certificate_is_kept_in_the_place_of_a_pin(
    laptop: Laptop, tmp_path: Path
) -> None:
    """A service of 1.16, which names no certificate."""
    answers = {"ping": replying(PingReply())}
    service = Service("127.0.0.1:0", tmp_path, **answers)
    try:
        text = service.root_certificate.read_text().replace("\n", "\r\n")
        service.root_certificate.write_text(f"# a\tcopy\r\n{text}", newline="")
        address = f"127.0.0.1:{service.port}"
        root = str(service.root_certificate)
        laptop.done("remote", "add", "old", address, MULTIPASS_ROOT_CERT=root)
        service.root_certificate.unlink()
        laptop.done("remote", "use", "old")
        assert "old (" in laptop.done("version")
        assert NOT_IDENTIFIED not in laptop.fails("list")
    finally:
        service.close()


def test_a_service_that_was_installed_anew_is_refused_until_a_new_line_names_it(
    site: Site, laptop: Laptop
) -> None:
    laptop.done("remote", "add", "lab", site.address, site.invite())
    laptop.done("remote", "use", "lab")
    site.daemon.stop()
    for each in (site.daemon.data / "certificates").iterdir():
        each.unlink()
    site.daemon.root_cert.unlink()
    site.daemon.start()
    said = laptop.fails("list")
    assert NOT_IDENTIFIED in said and "installed anew" in said and str(laptop.file) in said
    assert "is kept" in laptop.done("remote", "add", "lab", site.address, site.invite("carol"))
    assert laptop.done("list") == EMPTY


def a_week_ago(laptop: Laptop) -> str:
    """The kept certificates, which are due to be looked at."""
    document = json.loads(laptop.file.read_text())
    (entry,) = document["servers"]
    entry["followed"] = 1
    laptop.file.write_text(json.dumps(document))
    return str(entry["root_certificates"])


def kept(laptop: Laptop) -> tuple[str, int]:
    (entry,) = json.loads(laptop.file.read_text())["servers"]
    return entry["root_certificates"], entry["followed"]


def test_a_client_follows_a_root_certificate_that_is_renewed(site: Site, laptop: Laptop) -> None:
    line = site.invite()
    laptop.done("remote", "add", "lab", site.address, site.invite("carol"))
    laptop.done("remote", "use", "lab")
    first, followed = kept(laptop)
    assert first == site.daemon.root_cert.read_text() and followed > 1
    site.daemon.stop()
    site.daemon.root_cert.unlink()  # it is made anew, for the same key
    site.daemon.start()
    assert laptop.done("list") == EMPTY and kept(laptop) == (first, followed)
    a_week_ago(laptop)
    assert laptop.done("list") == EMPTY
    assert kept(laptop)[0] == site.daemon.root_cert.read_text() != first
    assert laptop.done("list") == EMPTY
    laptop.file.unlink()
    assert laptop.done("remote", "add", "lab", site.address, line), "a line from before is good"


def test_what_does_not_verify_a_server_never_takes_the_place_of_what_does(
    laptop: Laptop, tmp_path: Path
) -> None:
    other = RootsReply(certificates=make_root().certificate.decode())
    service = Service("127.0.0.1:0", tmp_path, ping=replying(PingReply()))
    try:
        address = f"127.0.0.1:{service.port}"
        root = str(service.root_certificate)
        laptop.done("remote", "add", "lab", address, MULTIPASS_ROOT_CERT=root)
        laptop.done("remote", "use", "lab")
        service.answers["roots"] = replying(other)
        before = a_week_ago(laptop)
        laptop.done("version")
        roots, followed = kept(laptop)
        assert roots == before and followed > 1, "the next look is a week away"
        assert len(service.requests["roots"]) == 1
    finally:
        service.close()


def test_remotes_are_listed_renamed_and_forgotten(site: Site, laptop: Laptop) -> None:
    laptop.done("authenticate", site.invite(), MULTIPASS_SERVER_ADDRESS=site.address)
    heading, local, unnamed = laptop.done("remote", "list").splitlines()
    assert heading.split() == ["Name", "Address", "Default", "Certificate"]
    assert local.split()[:3] == ["local", "unix:/run/multipass_socket", "yes"]
    assert unnamed.split()[:3] == ["--", site.address, "no"]
    laptop.done("remote", "add", "lab", site.address)
    assert "kept already, as the remote lab" in laptop.fails("remote", "add", "x", site.address)
    assert "remote lab" in laptop.fails("remote", "add", "lab", "localhost:1", "x")
    laptop.done("remote", "use", "lab")
    listed = json.loads(laptop.done("remote", "list", "--format", "json"))["remotes"]
    root = fingerprint(pem_to_der(site.daemon.root_cert.read_bytes()))
    assert {"name": "lab", "address": site.address, "default": True, "certificate": root} in listed
    assert f"lab,{site.address},true,{root}\n" in laptop.done("remote", "list", "--format=csv")
    assert "    default: true\n" in laptop.done("remote", "list", "--format=yaml")
    said = laptop.done("remote", "remove", "lab")
    assert said.startswith(f"lab ({site.address}) is forgotten. That takes no trust back")
    assert said.endswith("Commands talk to this machine's service now.\n")
    assert "There is no remote 'lab'" in laptop.fails("remote", "use", "lab")
    assert "There is no remote 'lab'" in laptop.fails("remote", "remove", "lab")
    laptop.done("remote", "add", "lab", site.address, site.invite("carol"))
    assert "(127." in laptop.done("remote", "remove", "lab")
    assert "bob" in site.names()


def test_the_environment_goes_before_the_remote_in_use(
    daemon: DaemonFactory, laptop: Laptop
) -> None:
    with serving(daemon) as here, serving(daemon) as there:
        for name, each in (("here", here), ("there", there)):
            laptop.done("remote", "add", name, each.address, each.invite())
        laptop.done("remote", "use", "here")
        here.daemon.stop()
        # Two servers, each verified by its own certificate.
        assert laptop.done("list", MULTIPASS_SERVER_ADDRESS=there.address) == EMPTY
        code, _, said = laptop.run("remote", "use", "here", MULTIPASS_SERVER_ADDRESS=there.address)
        assert code == 0 and said.startswith("MULTIPASS_SERVER_ADDRESS is set")
        laptop.fails("list")
        laptop.done("remote", "use", "there")
        assert laptop.done("list") == EMPTY


def test_a_damaged_file_stops_every_command_and_is_left_alone(site: Site, laptop: Laptop) -> None:
    laptop.done("remote", "add", "lab", site.address, site.invite())
    sound = laptop.file.read_text()
    later = json.dumps({"default": "x", "servers": []})
    for text in ("", "{", "[]", later, sound.replace("lab", "Lab"), sound.replace("BEGIN", "B")):
        laptop.file.write_text(text)
        for words in (
            ("list",),
            ("remote", "list"),
            ("remote", "use", "local"),
            ("remote", "remove", "lab"),
            ("remote", "add", "other", site.address, "x"),
        ):
            said = laptop.fails(*words)
            assert f"the remotes in {laptop.file} can't be read: " in said
        assert laptop.file.read_text() == text
    laptop.file.unlink()
    laptop.file.mkdir()
    assert "Is a directory" in laptop.fails("list")
    socket = site.daemon.address
    root = str(site.daemon.root_cert)
    named = {"MULTIPASS_SERVER_ADDRESS": socket, "MULTIPASS_ROOT_CERT": root}
    assert laptop.done("list", **named) == EMPTY


def test_processes_that_change_the_file_at_once_lose_nothing(site: Site, laptop: Laptop) -> None:
    laptop.done("remote", "add", "lab", site.address, site.invite())
    (kept,) = json.loads(laptop.file.read_text())["servers"]
    servers = [{**kept, "name": f"s{n}", "address": f"127.0.0.1:{n + 1}"} for n in range(8)]
    laptop.file.write_text(json.dumps({"default": "", "servers": [kept, *servers]}))
    running = [laptop.start("remote", "remove", f"s{n}") for n in range(7)]
    running.append(laptop.start("remote", "use", "lab"))
    for each in running:
        with each:
            _, err = each.communicate(timeout=60)
            assert (each.returncode, err) == (0, "")
    document = json.loads(laptop.file.read_text())
    assert [each["name"] for each in document["servers"]] == ["lab", "s7"]
    assert document["default"] == "lab"


def test_names_and_addresses_that_are_none_are_refused_before_anything_is_asked(
    laptop: Laptop,
) -> None:
    for name in ("Lab", "1lab", "l\u0430b", "a b", "a" * 33, "", "-x", "a\x1b"):
        assert "A remote's name has" in laptop.fails("remote", "add", "--", name, "host:1", "x")
    assert "'local' is this machine's" in laptop.fails("remote", "add", "local", "host:1", "x")
    for address in ("host", "host:", "host:99999", "unix:/run/socket", "::1:50051"):
        assert "A remote's address is" in laptop.fails("remote", "add", "lab", address, "x")
    for words in (
        (),
        ("ad",),
        ("add", "lab"),
        ("add", "a", "b:1", "c", "d"),
        ("use",),
        ("list", "x"),
    ):
        assert laptop.run("remote", *words)[0] == 1
    assert "--format is for" in laptop.fails("remote", "use", "x", "--format", "json")


def test_an_ipv6_address_is_written_in_brackets(daemon: DaemonFactory, laptop: Laptop) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("needs IPv6 on the loopback interface")
    running = daemon(start=False)
    address = f"[::1]:{port}"
    running.options += ["--address", running.address, "--address", address]
    site = Site(running.start(), address)
    laptop.done("remote", "add", "six", address, site.invite())
    laptop.done("remote", "use", "six")
    assert laptop.done("list") == EMPTY


def test_the_line_names_the_key_of_the_root_certificate(site: Site) -> None:
    line = site.invite()
    assert len(line) == 93 and pin_of(line)
    site.daemon.restart()
    assert pin_of(site.invite()) == pin_of(line), "it stays the same"


def test_an_invitation_says_where_other_machines_reach_the_service(
    daemon: DaemonFactory,
) -> None:
    with ports.reserved() as port:
        running = daemon(start=False)
        running.options += ["--address", running.address, "--address", f"0.0.0.0:{port}"]
        site = Site(running.start(), "")
        said = site.daemon.cli("alice", "invite", "bob").stdout
        name = socket.gethostname()
        assert f" {name}:{port} mpi1-" in said and "multipass remote add " in said
