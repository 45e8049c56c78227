"""On which host of a cluster instances are: what the client shows of it, sends, and refuses."""

from __future__ import annotations

import json

import grpc
import pytest

from protocol.messages.cluster import MoveReply, MoveRequest
from protocol.messages.common import InstanceStatus
from protocol.messages.information import DetailedInfoItem, InfoReply, InstanceDetails
from protocol.messages.launch import LaunchReply, LaunchRequest
from protocol.messages.listing import InstancesList, ListReply, ListVMInstance
from tests.client.service import Connect, failing, replying

UP = InstanceStatus(status=1)
HERE = ListVMInstance(name="here", instance_status=UP, ipv4=["10.0.0.2"], current_release="24.04")
AWAY = ListVMInstance(name="away", instance_status=UP, location="m2")


def listed(*instances: ListVMInstance) -> ListReply:
    return ListReply(instance_list=InstancesList(instances=list(instances)))


def test_a_table_names_the_hosts_on_request_only(connect: Connect) -> None:
    program, _ = connect(list=replying(listed(HERE, AWAY)))
    assert program.run("list").out == (
        "Name                    State             IPv4             Image\n"
        "away                    Running           --               Not Available\n"
        "here                    Running           10.0.0.2         Ubuntu 24.04\n"
    )
    assert program.run("list", "--location").out == (
        "Name                    State             IPv4             Image           Location\n"
        "away                    Running           --               Not Available   m2\n"
        "here                    Running           10.0.0.2         Ubuntu 24.04    --\n"
    )


def test_documents_name_a_host_where_there_is_one(connect: Connect) -> None:
    program, service = connect(list=replying(listed(HERE, AWAY)))
    here, away = json.loads(program.run("list", "--format", "json").out)["list"]
    assert away["location"] == "m2" and "location" not in here
    assert "    location: m2\n" in program.run("list", "--format", "yaml").out
    header, *rows = program.run("list", "--format", "csv").out.splitlines()
    assert header.endswith("AllIPv4,Location")
    assert rows == [
        'away,Running,,,Not Available,"",m2',
        'here,Running,10.0.0.2,,Ubuntu 24.04,"10.0.0.2",',
    ]
    service.answers["list"] = replying(listed(HERE))
    for form in ("json", "yaml", "csv"):  # as 1.16's, even where it is asked for
        alone = program.run("list", "--format", form).out
        assert program.run("list", "--format", form, "--location").out == alone
        assert "ocation" not in alone


def test_snapshots_have_no_host(connect: Connect) -> None:
    program, service = connect(list=replying(listed()))
    done = program.run("list", "--snapshots", "--location")
    told = "Locations are not applicable in conjunction with listing snapshots\n"
    assert (done.code, done.err) == (1, told) and not service.requests


def test_details_tell_the_host_and_the_way_to_the_instance(connect: Connect) -> None:
    about = InstanceDetails(owner="eve", location="m2", reached="through the cluster")
    item = DetailedInfoItem(name="away", instance_status=UP, instance_info=about)
    program, service = connect(info=replying(InfoReply(details=[item])))
    assert "Location" not in program.run("info", "away").out
    table = program.run("info", "-v", "away").out
    assert "\nLocation:       m2\nReached:        through the cluster\nState:" in table
    shown = json.loads(program.run("info", "--format", "json").out)["info"]["away"]
    assert (shown["location"], shown["reached"]) == ("m2", "through the cluster")
    assert "    reached: through the cluster\n" in program.run("info", "--format", "yaml").out
    header, row = program.run("info", "--format", "csv").out.splitlines()
    assert header.endswith(",Location") and row.endswith(",m2")
    item.instance_info = InstanceDetails(owner="eve")
    service.answers["info"] = replying(InfoReply(details=[item]))
    for form in ("table", "json", "yaml", "csv"):
        out = program.run("info", "-v", "--format", form).out
        assert "ocation" not in out and "eached" not in out


def test_a_launch_names_its_host(connect: Connect) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="foo")))
    assert program.run("launch", "--target", "m2").code == 0
    assert LaunchRequest.decode(service.requests["launch"][0]).target == "m2"


def test_a_move_says_where_the_instance_is(connect: Connect) -> None:
    program, service = connect(move=replying(MoveReply(log_line="careful\n"), MoveReply()))
    done = program.run("move", "foo", "m2")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Moved: foo to m2"), done
    assert done.err == "careful\n"
    request = MoveRequest.decode(service.requests["move"][0])
    assert (request.instance_name, request.member) == ("foo", "m2")


@pytest.mark.parametrize("words", [(), ("foo",), ("foo", "m2", "m3")])
def test_a_move_needs_an_instance_and_a_host(connect: Connect, words: tuple[str, ...]) -> None:
    program, service = connect(move=replying(MoveReply()))
    done = program.run("move", *words)
    told = "Name the instance to move and the host of the cluster\n"
    assert (done.code, done.err) == (1, told) and not service.requests


def test_a_refused_move_says_why(connect: Connect) -> None:
    why = "Multipass can only move stopped instances."
    program, _ = connect(move=failing(grpc.StatusCode.FAILED_PRECONDITION, why))
    done = program.run("move", "foo", "m2")
    assert (done.code, done.out, done.err) == (2, "", f"move failed: {why}\n")
