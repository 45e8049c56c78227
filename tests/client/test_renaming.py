"""`set local.NAME.name=NEW`: this user's aliases follow."""

from __future__ import annotations

import json

import grpc

from protocol import places
from protocol.messages.access import SetReply
from tests.client.service import Connect, failing, replying


def test_aliases_follow_an_instance_that_gets_another_name(connect: Connect) -> None:
    program, service = connect(set=replying(SetReply()))
    path = program.home / places.client_alias_file(program.environ, str(program.home))
    path.parent.mkdir(parents=True)
    alias = {"instance": "foo", "command": "ls", "working-directory": "map"}
    before = {"active-context": "default", "contexts": {"default": {"ll": alias}}}
    path.write_text(json.dumps(before))
    assert program.run("set", "local.foo.cpus=2").code == 0
    assert program.run("set", "local.foo.snap.name=bar").code == 0
    service.answers["set"] = failing(grpc.StatusCode.FAILED_PRECONDITION, "no")
    assert program.run("set", "local.foo.name=bar").code == 2
    assert json.loads(path.read_text()) == before
    service.answers["set"] = replying(SetReply())
    assert program.run("set", "local.foo.name=bar").code == 0
    kept = json.loads(path.read_text())["contexts"]["default"]["ll"]
    assert kept == {**alias, "instance": "bar"}
