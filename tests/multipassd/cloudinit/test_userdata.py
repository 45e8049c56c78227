from __future__ import annotations

from typing import Any

import pytest
import yaml

from multipassd.cloudinit import userdata
from multipassd.cloudinit.hostkeys import make
from multipassd.cloudinit.userdata import UserDataError

HOST_KEY = make()
AUTHORISED = "ssh-ed25519 AAAAservice"


def merged(text: str = "") -> dict[str, Any]:
    """As the guest reads it."""
    config = userdata.checked(text)
    made = userdata.merge(config, "foo", AUTHORISED, HOST_KEY, "Asia/Tokyo")
    assert made.startswith("#cloud-config\n")
    loaded: dict[str, Any] = yaml.safe_load(made)
    return loaded


def ubuntu(text: str) -> dict[str, Any]:
    users = [
        one for one in merged(text)["users"] if isinstance(one, dict) and one["name"] == "ubuntu"
    ]
    assert len(users) == 1
    user: dict[str, Any] = users[0]
    return user


def test_without_a_user_s_configuration_ours_is_whole() -> None:
    found = merged()
    assert (found["hostname"], found["timezone"]) == ("foo", "Asia/Tokyo")
    assert found["users"][0] == "default"
    assert ubuntu("")["ssh_authorized_keys"] == [AUTHORISED]
    assert found["ssh_keys"] == {
        "ed25519_private": HOST_KEY.private.decode(),
        "ed25519_public": HOST_KEY.public,
    }


def test_the_user_s_values_win_and_all_others_are_kept() -> None:
    found = merged("hostname: other\ntimezone: Etc/UTC\npackages: [jq]\ngrowpart: {mode: off}")
    assert (found["hostname"], found["timezone"]) == ("other", "Etc/UTC")
    assert (found["packages"], found["growpart"]) == (["jq"], {"mode": False})


def test_our_host_key_wins_and_the_user_s_of_other_kinds_stay() -> None:
    keys = merged("ssh_keys: {rsa_private: theirs, ed25519_private: theirs}")["ssh_keys"]
    assert keys["rsa_private"] == "theirs"
    assert keys["ed25519_private"] == HOST_KEY.private.decode()


@pytest.mark.parametrize("value", ["ssh_keys: nonsense", "ssh_keys: [1]", "ssh_keys:"])
def test_host_keys_that_are_none_are_replaced(value: str) -> None:
    assert merged(value)["ssh_keys"]["ed25519_public"] == HOST_KEY.public


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("users:", []),
        ("users: []", []),
        ("users: [default]", ["default"]),
        ("users: default", ["default"]),
        ("users: default, alice", ["default", "alice"]),
        ("users: [default, {name: alice}]", ["default", {"name": "alice"}]),
        ("users: {name: alice}", [{"name": "alice"}]),
        ("users: {alice: {shell: /bin/sh}}", [{"name": "alice", "shell": "/bin/sh"}]),
        ("users: [ubuntu]", []),
    ],
)
def test_ubuntu_joins_whatever_users_were_given(text: str, others: list[object]) -> None:
    found = merged(text)["users"]
    assert found[:-1] == others
    assert found[-1] == ubuntu(text)
    assert found[-1]["ssh_authorized_keys"] == [AUTHORISED]
    assert found[-1]["sudo"]


@pytest.mark.parametrize("name", ["ssh_authorized_keys", "ssh-authorized-keys"])
@pytest.mark.parametrize("given", ["[ssh-rsa theirs]", "ssh-rsa theirs"])
def test_an_entry_for_ubuntu_is_the_user_s_with_our_key_behind_theirs(
    name: str, given: str
) -> None:
    found = ubuntu(f"users:\n- name: ubuntu\n  shell: /bin/zsh\n  {name}: {given}\n- default")
    assert found == {
        "name": "ubuntu",
        "shell": "/bin/zsh",
        "ssh_authorized_keys": ["ssh-rsa theirs", AUTHORISED],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "line 1, column 5"),
        ("a: b\n c: d: e", "line 2"),
        ("- a", "must be a mapping"),
        ("just words", "must be a mapping"),
        ("12", "must be a mapping"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: \x07", "not text"),
        ("[" * 50000, "too deeply"),
        ("a: " + "[" * 700 + "]" * 700, "too deeply"),
        ("users: 3", "`users` must be a list"),
        ("users: [{name: ubuntu, ssh_authorized_keys: 3}]", "must be a list of keys"),
        ("a: " + "b" * (1 << 20), "longer than"),
    ],
)
def test_what_can_t_be_used_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(UserDataError) as error:
        userdata.checked(text)
    assert error.value.message.startswith("The cloud-init configuration can't be used: ")
    assert why in error.value.message


def test_a_bomb_of_aliases_stays_as_small_as_it_came() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    config = userdata.checked("\n".join(lines))
    assert len(userdata.merge(config, "foo", AUTHORISED, HOST_KEY, "")) < 10_000


def test_texts_of_several_lines_arrive_unchanged() -> None:
    script = "#!/bin/sh\n\n  echo 'a: b' # \\ tab\there\n"
    text = yaml.safe_dump({"write_files": [{"path": "/x", "content": script}]})
    assert merged(text)["write_files"][0]["content"] == script


def merging(levels: int, times: int, first: str = "{k: v}") -> str:
    lines = [f"a0: &a0 {first}"]
    for number in range(1, levels + 1):
        copied = ", ".join([f"*a{number - 1}"] * times)
        lines += [f"a{number}: &a{number}", f"  <<: [{copied}]", f"  k{number}: v"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (merging(29, 2), "copy too much"),
        (merging(1, 30_000, "{k: v, l: v, m: v, n: v}"), "copy too much"),
        ("a: &a\n  <<: [" + ", ".join(["*a"] * 1000) + "]\n  k: v\n", "copy too much"),
        ("a: 1" + ":1" * 400_000, "a number of more than"),
        ("a: 0x" + "f" * 900_000, "a number of more than"),
    ],
    ids=["doubled", "at once", "of itself", "base sixty", "hexadecimal"],
)
def test_a_text_that_stands_for_far_more_than_it_is_long_is_refused(text: str, why: str) -> None:
    """Some of these took gigabytes of the daemon's memory."""
    with pytest.raises(UserDataError, match=why):
        userdata.checked(text)


def test_merge_keys_and_aliases_are_taken() -> None:
    config = userdata.checked(merging(3, 2) + "users: &users [default]\nalso: *users\n")
    assert config["a3"] == {"k": "v", "k1": "v", "k2": "v", "k3": "v"}
    assert config["also"] == ["default"]
