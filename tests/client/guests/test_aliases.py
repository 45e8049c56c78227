"""Aliases with a service and an instance, which is a real SSH server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import grpc
import pytest

from protocol.messages.access import SetReply
from protocol.messages.lifecycle import DeleteReply, PurgeReply
from tests.client.program import PROGRAM, Program
from tests.client.service import Service, failing, replying

EMPTY = {"active-context": "default", "contexts": {"default": {}}}


class User:
    """Runs the client; knows where its files are."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.file = program.home / "config/multipass/multipass_aliases.json"
        self.scripts = program.home / "data/multipass/bin"
        # The folder is in PATH, as it is once the hint was followed.
        program.environ["PATH"] += f":{self.scripts}"

    def done(self, *words: str) -> str:
        result = self.program.run(*words)
        assert (result.code, result.err) == (0, "")
        return result.out

    def wrong(self, *words: str) -> str:
        result = self.program.run(*words)
        assert (result.code, result.out) == (1, "")
        return result.err

    def kept(self) -> object:
        return json.loads(self.file.read_text())

    def names(self) -> list[str]:
        return sorted(path.name for path in self.scripts.iterdir())


@pytest.fixture
def user(program: Program) -> User:
    return User(program)


def record(command: str, directory: str = "map", instance: str = "guest") -> dict[str, str]:
    return {"command": command, "instance": instance, "working-directory": directory}


def test_an_alias_runs_its_command_with_the_arguments_of_the_line(user: User) -> None:
    assert user.done("alias", "guest:printf", "say") == ""
    assert user.done("say", "--", "<%s>", "a b", "", "-l") == "<a b><><-l>"
    done = subprocess.run(
        ["say", "<%s>", "it's", "--"], env=user.program.environ, capture_output=True, text=True,
        cwd="/", check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "<it's><-->", "")


def test_its_exit_status_and_its_input_are_those_of_the_command(user: User) -> None:
    user.done("alias", "guest:/bin/cat")
    assert user.program.run("cat", input=b"through").out == "through"
    user.done("alias", "guest:/bin/sh", "run")
    assert user.program.run("run", "--", "-c", "exit 7").code == 7


def test_the_file_and_the_scripts_are_those_of_1_16(user: User) -> None:
    user.done("alias", "guest:ls -l", "my list")
    user.done("alias", "--no-map-working-directory", "guest:/bin/cat")
    aliases = {"my list": record("ls -l"), "cat": record("/bin/cat", "default")}
    assert user.kept() == {"active-context": "default", "contexts": {"default": aliases}}
    assert user.file.read_text() == user.done("aliases", "--format", "json")
    assert user.names() == ["cat", "default.cat", "default.my list", "my list"]
    script = user.scripts / "cat"
    assert script.read_text() == f'#!/bin/sh\n\n"{PROGRAM}" cat -- "${{@}}"\n'
    assert script.stat().st_mode & 0o777 == 0o755


def test_the_snap_has_scripts_that_start_the_snap(program: Program, tmp_path: Path) -> None:
    program.home.mkdir()  # root uses no home that is not its own
    program.environ |= {"SNAP_NAME": "multipass", "SNAP_REAL_HOME": str(tmp_path / "home")}
    assert program.run("alias", "guest:true", "a").code == 0
    script = tmp_path / "home/snap/multipass/common/bin/a"
    assert script.read_text() == ('#!/bin/sh\n\nexec /usr/bin/snap run multipass a -- "${@}"\n')
    kept = tmp_path / "home/snap/multipass/current/config/multipass/multipass_aliases.json"
    assert json.loads(kept.read_text())["contexts"]["default"] == {"a": record("true")}


def test_a_short_script_is_there_while_its_name_is_the_only_one(user: User) -> None:
    user.done("alias", "guest:true", "a")
    user.done("prefer", "other")
    user.done("alias", "guest:false", "a")
    assert user.names() == ["default.a", "other.a"]
    assert [user.program.run(word).code for word in ("a", "default.a", "other.a")] == [1, 0, 1]
    user.done("unalias", "a")
    assert user.names() == ["a", "default.a"]
    assert user.program.run("a").code == 0
    user.done("unalias", "default.a")
    assert user.names() == []
    assert user.kept() == {"active-context": "other", "contexts": {"other": {}}}


def test_the_first_alias_tells_what_to_add_to_the_path(program: Program) -> None:
    told = program.run("alias", "guest:true").out
    assert told == (
        "You'll need to add this to your shell configuration (.bashrc, .zshrc or so) for\n"
        "aliases to work without prefixing with `multipass`:\n\n"
        f'PATH="$PATH:{program.home}/data/multipass/bin"\n'
    )
    assert program.run("alias", "guest:false").out == ""


def test_what_is_no_alias_is_told(user: User, service: Service) -> None:
    user.done("alias", "guest:true", "a")
    assert user.wrong("alias") == "Wrong number of arguments given\n"
    assert user.wrong("alias", "a:b", "c", "d") == "Wrong number of arguments given\n"
    for definition in ("guest", "guest:", ":"):
        assert user.wrong("alias", definition) == "No command given\n"
    assert user.wrong("alias", ":ls") == "No instance name given\n"
    for words in (["guest:ls", "a/b"], ["guest:/bin/"], ["guest:ls", ".."]):
        assert user.wrong("alias", *words) == "Alias has to be a valid filename\n"
    assert user.wrong("alias", "guest:b", "a") == "Alias 'a' already exists in current context\n"
    for word in ("ls", "transfer", "copy-files", "unmount"):
        told = f"Alias name '{word}' clashes with a command name\n"
        assert user.wrong("alias", "guest:b", word) == told
    service.answers["info"] = failing(grpc.StatusCode.INVALID_ARGUMENT, "no")
    assert user.wrong("alias", "guest:ls") == "Instance 'guest' does not exist\n"
    service.answers["info"] = failing(grpc.StatusCode.NOT_FOUND, "it is not there")
    assert (
        user.wrong("alias", "guest:ls") == "Error retrieving list of instances\nit is not there\n"
    )
    assert user.names() == ["a", "default.a"]


def test_unalias_removes_all_or_none(user: User) -> None:
    for name in ("a", "b", "c.d"):
        user.done("alias", "guest:true", name)
    assert user.wrong("unalias", "x", "a") == "Nonexistent alias: x.\n"
    assert user.wrong("unalias", "a", "x", "y") == "Nonexistent aliases: x, y.\n"
    assert user.wrong("unalias") == "Name argument or --all is required\n"
    assert user.wrong("unalias", "a", "--all") == "Cannot specify name when --all option set\n"
    assert len(user.names()) == 6
    user.done("unalias", "a", "default.c.d")
    assert user.names() == ["b", "default.b"]
    user.done("unalias", "--all")
    assert user.names() == []


def test_prefer_takes_one_context(user: User) -> None:
    assert user.wrong("prefer") == "The prefer command needs an argument\n"
    assert user.wrong("prefer", "a", "b") == "Wrong number of arguments given\n"


def test_options_of_the_command_need_two_dashes(user: User) -> None:
    user.done("alias", "guest:ls", "list files")
    assert user.wrong("list files", "-l") == (
        "Unknown option 'l'.\n\n"
        'Options to the alias should come after "--", like this:\n'
        "multipass <alias> -- <arguments>\n"
    )


def test_purged_instances_take_their_aliases_and_scripts_along(
    user: User, service: Service
) -> None:
    for name in ("a", "b"):
        user.done("alias", f"{name}:true", name)
    user.done("prefer", "b")
    user.done("alias", "guest:true", "c")
    service.answers["delet"] = replying(DeleteReply(purged_instances=["a"]))
    assert user.done("delete", "--purge", "a") == ""
    assert user.names() == ["b", "b.c", "c", "default.b"]
    service.answers["purge"] = replying(PurgeReply(purged_instances=["b"]))
    assert user.done("purge") == ""
    assert user.names() == []
    assert user.kept() == EMPTY


def test_a_renamed_instance_keeps_its_aliases(user: User, service: Service) -> None:
    service.answers["set"] = replying(SetReply())
    user.done("alias", "guest:true", "a")
    user.done("set", "local.guest.snapshot1.name=other")
    assert user.kept() == {
        "active-context": "default", "contexts": {"default": {"a": record("true")}}
    }  # fmt: skip
    user.done("set", "local.guest.name=moved")
    aliases = {"a": record("true", instance="moved")}
    assert user.kept() == {"active-context": "default", "contexts": {"default": aliases}}


def test_a_script_that_cannot_be_removed_is_told_and_fails_nothing(user: User) -> None:
    user.done("alias", "guest:true", "a")
    (user.scripts / "a").unlink()
    (user.scripts / "a").symlink_to("/nowhere")
    result = user.program.run("unalias", "a")
    told = "Warning: 'Too many levels of symbolic links' when removing alias script for default.a\n"
    assert (result.code, result.out, result.err) == (0, "", told)


def test_a_file_that_is_no_script_of_ours_is_left_alone(user: User) -> None:
    user.done("alias", "guest:true", "a")
    (user.scripts / "b").write_text("#!/bin/sh\n\necho mine\n")
    assert user.wrong("alias", "guest:true", "b") == (
        "Error when creating script for alias: "
        "a file of that name, which is no script of an alias, is there\n"
    )
    assert user.names() == ["a", "b", "default.a"]
    (user.scripts / "a").write_text("echo mine")
    user.done("unalias", "a")
    assert user.names() == ["a", "b"]


def test_an_alias_that_can_not_be_kept_leaves_no_script(user: User) -> None:
    user.done("alias", "guest:true", "a")
    before = user.kept()
    Path(f"{user.file}.new").mkdir()  # in the way of the next version
    assert user.program.run("alias", "guest:true", "b").code == 2
    assert user.names() == ["a", "default.a"] and user.kept() == before


def test_an_alias_of_an_instance_that_is_gone_says_what_to_do(user: User, service: Service) -> None:
    user.done("alias", "guest:true", "a")
    service.answers["info"] = failing(grpc.StatusCode.NOT_FOUND, 'instance "guest" does not exist')
    result = user.program.run("a")
    assert (result.code, result.err) == (2, (
        'exec failed: instance "guest" does not exist\n'
        "The alias 'a' runs in the instance 'guest', which is not there any more. "
        "`multipass unalias a` removes it.\n"
    ))  # fmt: skip


def test_a_damaged_file_is_empty_and_kept_beside_the_next_one(user: User) -> None:
    user.file.parent.mkdir(parents=True, exist_ok=True)
    user.file.write_text('{"active-context": ')
    result = user.program.run("aliases")
    assert (result.code, result.out) == (0, "No aliases defined.\n")
    assert result.err == f"Warning: {user.file} can't be read as aliases, so there are none.\n"
    for number in ("", ".2"):
        user.file.write_text('{"active-context": ')
        result = user.program.run("alias", "guest:true", "a")
        kept = Path(f"{user.file}.damaged{number}")
        assert result.code == 0
        assert f"Warning: the damaged alias file was kept as {kept}.\n" in result.err
        assert kept.read_text() == '{"active-context": '
        assert user.kept() == {
            "active-context": "default", "contexts": {"default": {"a": record("true")}}
        }  # fmt: skip


def test_aliases_made_at_the_same_time_are_all_kept(user: User) -> None:
    names = [f"a{number}" for number in range(12)]
    started = [
        subprocess.Popen([PROGRAM, "alias", "guest:true", name], env=user.program.environ,
                         stdout=subprocess.DEVNULL)
        for name in names
    ]  # fmt: skip
    assert [process.wait() for process in started] == [0] * 12
    assert sorted(user.done("aliases", "--format", "csv").split()[2:]) == sorted(
        f"{name},guest,true,map,default*" for name in names
    )
    assert user.names() == sorted([*names, *(f"default.{name}" for name in names)])
