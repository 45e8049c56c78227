"""Launches from a server of images that lies, goes away or is asked twice at once. None boots."""

from __future__ import annotations

import threading

from tests.instances.site import SMALL, Site, give_up
from tools.imageserver import ImageServer

HALF = 2 << 20  # of the image


def refused(here: Site, name: str) -> str:
    """Why it is; nothing is left of it."""
    answer = here.cli("launch", "--name", name, *SMALL, "noble")
    assert answer.returncode == 2, answer
    assert not (here.states() or here.kept_of(name) or here.qemus())
    return answer.stderr


def kept(here: Site) -> set[str]:
    """What there is of images."""
    return {path.name for path in (here.storage / "images").glob("*/*") if path.suffix != ".json"}


def test_an_image_with_another_checksum_is_refused_and_thrown_away(
    served: Site, server: ImageServer
) -> None:
    server.faults.corrupt = {".img"}
    assert "launch failed: Hash of ubuntu-24.04-server-cloudimg-" in refused(served, "foo")
    assert kept(served) == set()
    server.faults.corrupt = set()
    assert "so it was not fetched again" in refused(served, "foo")
    served.done("find", "--force-update")
    served.run_silent("foo", "noble")
    assert kept(served) == {"disk.img"}


def test_a_launch_goes_on_where_the_server_went_away(served: Site, server: ImageServer) -> None:
    server.faults.break_after = {".img": [HALF, *[0] * 10]}
    why = refused(served, "foo")
    assert "launch failed: " in why
    assert "2.0MiB are kept: the next launch goes on from there." in why
    assert kept(served) == {"download.part"}
    server.faults.break_after = {}
    served.run_silent("foo", "noble")
    assert server.fetched(".img")[-1].range == f"bytes={HALF}-"
    assert kept(served) == {"disk.img"}


def test_ctrl_c_leaves_what_the_next_launch_goes_on_with(served: Site, server: ImageServer) -> None:
    server.faults.gate = threading.Event()
    launch = ("launch", "--name", "foo", *SMALL, "noble")
    said = served.on_terminal(*launch, answers=[("Retrieving image: ", "\x03")])
    assert said.returncode == 130 and "Launched" not in said.output
    assert served.done("list") == "No instances found.\n"
    server.faults.gate.set()
    launching = served.launching("foo", "noble")  # its name is free at once
    assert server.fetched(".img")[-1].range.startswith("bytes=")
    give_up(launching)
    assert served.states() == {"foo": "Starting"}
    assert kept(served) == {"disk.img"}


def test_a_launch_whose_time_is_over_while_it_downloads_goes_on(
    served: Site, server: ImageServer
) -> None:
    server.faults.gate = threading.Event()
    said = served.cli("launch", "--name", "foo", "--timeout", "1", *SMALL, "noble")
    assert said.returncode == 5 and "The launch goes on: " in said.stderr
    assert 'instance "foo" is being prepared' in served.cli("info", "foo").stderr
    server.faults.gate.set()
    served.wait_for(lambda: served.states() == {"foo": "Starting"}, "the instance")


def test_two_launches_at_once_make_two_instances_of_one_download(
    served: Site, server: ImageServer
) -> None:
    before = len(server.fetched(".img"))
    both = [served.begin("launch", "--name", name, *SMALL, "noble") for name in ("foo", "bar")]
    served.wait_for(lambda: len(served.qemus()) == 2, "both machines")
    served.wait_for(lambda: set(served.states().values()) == {"Starting"}, "both instances")
    assert sorted(served.states()) == ["bar", "foo"]
    assert len(server.fetched(".img")) - before == 1
    for launching in both:
        give_up(launching)
