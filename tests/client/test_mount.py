"""`mount` and `umount`: what is sent, shown and refused."""

from __future__ import annotations

import os
from pathlib import Path

import grpc
import pytest

from protocol.messages.launch import LaunchReply
from protocol.messages.mounts import MountReply, MountRequest, UmountReply, UmountRequest
from tests.client.service import Connect, failing, replying


def test_the_caller_stands_for_the_login_user_and_a_link_is_resolved(
    connect: Connect, tmp_path: Path
) -> None:
    program, service = connect(mount=replying(MountReply()))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    result = program.run("mount", f"{tmp_path}/link/", "a", "b:/x:y", "c:Rel")
    assert (result.code, result.out, result.err) == (0, "", "")
    request = MountRequest.decode(service.requests["mount"][0])
    assert request.source_path == f"{tmp_path}/real"
    targets = [(each.instance_name, each.target_path) for each in request.target_paths]
    assert targets == [("a", "/home/ubuntu/link"), ("b", "/x:y"), ("c", "Rel")]
    assert request.mount_maps is not None
    uids, gids = request.mount_maps.uid_mappings, request.mount_maps.gid_mappings
    assert [(each.host_id, each.instance_id) for each in uids] == [(os.getuid(), -1)]
    assert [(each.host_id, each.instance_id) for each in gids] == [(os.getgid(), -1)]
    assert request.mount_type == MountRequest.MountType.CLASSIC


def test_a_relative_source_is_made_absolute_and_maps_and_type_are_sent(connect: Connect) -> None:
    program, service = connect(mount=replying(MountReply()))
    words = "mount -u 1:2 --uid-map=3:4 -g 0:5 -t NATIVE usr x"
    assert program.run(*words.split()).code == 0  # the tests' client runs in /
    request = MountRequest.decode(service.requests["mount"][0])
    assert request.source_path == "/usr"
    assert request.mount_maps is not None
    uids, gids = request.mount_maps.uid_mappings, request.mount_maps.gid_mappings
    assert [(each.host_id, each.instance_id) for each in uids] == [(1, 2), (3, 4)]
    assert [(each.host_id, each.instance_id) for each in gids] == [(0, 5)]
    assert request.mount_type == MountRequest.MountType.NATIVE


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read any directory")
def test_an_unreadable_source_is_told(connect: Connect, tmp_path: Path) -> None:
    program, service = connect(mount=replying(MountReply()))
    (tmp_path / "closed").mkdir(mode=0)
    result = program.run("mount", f"{tmp_path}/closed", "a")
    assert result.err == f'Source path "{tmp_path}/closed" is not readable\n'
    assert result.code == 1 and not service.requests


def test_a_failed_mount_is_told_by_the_name_of_the_command(connect: Connect) -> None:
    program, _ = connect(
        mount=failing(grpc.StatusCode.INVALID_ARGUMENT, "The following errors occurred:\nx"),
        umount=failing(grpc.StatusCode.INVALID_ARGUMENT, "The following errors occurred:\ny"),
    )
    result = program.run("mount", "/tmp", "a")
    assert (result.code, result.err) == (2, "mount failed: The following errors occurred:\nx\n")
    result = program.run("unmount", "a")
    assert (result.code, result.err) == (2, "umount failed: The following errors occurred:\ny\n")


@pytest.mark.parametrize("word", ["umount", "unmount"])
def test_a_path_is_what_follows_the_first_colon(connect: Connect, word: str) -> None:
    program, service = connect(umount=replying(UmountReply()))
    result = program.run(word, "a", "b:", "c:/x:y")
    assert (result.code, result.out, result.err) == (0, "", "")
    request = UmountRequest.decode(service.requests["umount"][0])
    targets = [(each.instance_name, each.target_path) for each in request.target_paths]
    assert targets == [("a", ""), ("b", ""), ("c", "/x:y")]


@pytest.mark.parametrize("words", ["mount / a", "launch --name a --mount /:/x"])
def test_over_tcp_mounts_are_refused_before_anything_is_sent(connect: Connect, words: str) -> None:
    program, service = connect(tcp=True)
    result = program.run(*words.split())
    assert result.code == 2 and not service.requests
    command = words.partition(" ")[0]
    sentence, hint = result.err.splitlines()
    assert sentence == f"{command} failed: a directory of this machine can't be mounted over TCP"
    assert f"127.0.0.1:{service.port} mounts are directories of its own host" in hint
    assert "`multipass transfer -r` copies files" in hint


def test_over_tcp_the_primary_instance_is_launched_without_the_home(connect: Connect) -> None:
    program, service = connect(tcp=True, launch=replying(LaunchReply(vm_instance_name="primary")))
    result = program.run("launch", "--name", "primary")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == (
        "Skipping mount, as directories of this machine can't be mounted over TCP"
    )
    assert set(service.requests) == {"launch"}
