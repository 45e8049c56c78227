from __future__ import annotations

import email
from email.message import Message
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from multipassd.cloudinit import knownkeys, userdata
from multipassd.cloudinit.ssh_keys import make
from multipassd.cloudinit.userdata import UserDataError
from tests.protocol.test_yaml_text import TAGS, VALUES

HOST_KEY = make()
KEYS = (
    "name: ubuntu", "{name: ubuntu}", "\nusers:", "\n- name: x", "\n  sudo: true", "? ", ", ", "]",
    "ubuntu", "default", "\nssh_keys: {ed25519_private: x}", "\nruncmd:", "&a", "*a", "|\n  x\n",
)  # fmt: skip
LINES = ("ssh-ed25519 AAAAservice", 'cert-authority,principals="a@b" ssh-ed25519 AAAA ours')


JINJA = "## template: jinja\n#cloud-config\nruncmd:\n- echo {{ v1.local_hostname }} > /x\n"
SCRIPT = "#!/bin/sh\necho 'ä' \\\n  $1\n\n"
MIXED = (
    'Content-Type: multipart/mixed; boundary="==x=="\nMIME-Version: 1.0\n\n'
    "--==x==\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntrue\n--==x==\n"
    "Content-Type: text/cloud-config\n\n#cloud-config\na: b\n--==x==--\n"
)
OTHERS = {
    "text/jinja2": JINJA,
    "text/x-shellscript": SCRIPT,
    "text/x-include-url": "#include\nhttp://example.invalid/a\n",
    "text/x-include-once-url": "#include-once\nhttp://example.invalid/a",
    "text/cloud-config-archive": "#cloud-config-archive\n- {type: text/x, content: x}\n",
    "text/cloud-boothook": "#cloud-boothook\n#!/bin/sh\ntrue\n",
    "text/part-handler": "#part-handler\ndef list_types():\r\n    return []\n",
}


def merged(text: str = "") -> dict[str, Any]:
    """As the guest reads it."""
    config = userdata.checked(text)
    made = userdata.merge(config, "foo", LINES, HOST_KEY, "Asia/Tokyo")
    assert made.startswith("#cloud-config\n")
    loaded: dict[str, Any] = yaml.safe_load(made)
    return loaded


def ubuntu(text: str) -> dict[str, Any]:
    users = [
        each
        for each in merged(text)["users"]
        if isinstance(each, dict) and each["name"] == "ubuntu"
    ]
    assert len(users) == 1
    user: dict[str, Any] = users[0]
    return user


def test_without_a_user_s_configuration_ours_is_whole() -> None:
    found = merged()
    assert (found["hostname"], found["timezone"]) == ("foo", "Asia/Tokyo")
    assert found["users"][1:] == ["default"]
    assert ubuntu("")["ssh_authorized_keys"] == list(LINES)
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
    assert found[1:] == others
    assert found[0] == ubuntu(text), "cloud-init makes no more users after one that fails"
    assert found[0]["ssh_authorized_keys"] == list(LINES)
    assert found[0]["sudo"]


@pytest.mark.parametrize("name", ["ssh_authorized_keys", "ssh-authorized-keys"])
@pytest.mark.parametrize("given", ["[ssh-rsa theirs]", "ssh-rsa theirs"])
def test_an_entry_for_ubuntu_is_the_user_s_with_our_key_behind_theirs(
    name: str, given: str
) -> None:
    text = f"users:\n- default\n- name: ubuntu\n  shell: /bin/zsh\n  {name}: {given}\n"
    found = ubuntu(text)
    assert merged(text)["users"] == [found, "default"]
    assert found == {
        "name": "ubuntu",
        "shell": "/bin/zsh",
        "ssh_authorized_keys": ["ssh-rsa theirs", *LINES],
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
        ("a: 1\nb: 2\na: 3", "the key `a` is there twice, in line 1 and line 3"),
        ("users:\n- name: bob\n  shell: a\n  shell: b", "`shell` is there twice, in line 3 and"),
        ("network: {version: 2, ethernets: {}}", "takes no network configuration"),
        ("network: {config: disabled}", "takes no network configuration"),
        ("version: 2\nethernets: {eth0: {dhcp4: true}}", "takes no network configuration"),
        ("users: [{name: cookie, sudo: true}]", "`users[0].sudo` must be rules of sudo"),
        ("users: [{sudo: x}]", "`users[0]` has no `name`"),
        ("users: [{name: bob, lock_passwd: 1}]", "`users[0].lock_passwd` must be true or false"),
        ("runcmd: reboot", "`runcmd` must be a list of commands. It is a text."),
        ("runcmd: [{echo: hello}]", "`runcmd[0]` must be a text or a list of texts"),
        ("write_files: [{content: x}]", "`write_files[0]` has no `path`"),
        ("write_files: [{path: /x, permissions: [a]}]", "`write_files[0].permissions` must be a"),
        ("content-type: x\n\nä", "characters beyond ASCII"),
        ("Content-Type: multipart/mixed\n\n#!/bin/sh\n", "cloud-init would find none"),
        (MIXED.replace("a: b", "users: {bob: {}}"), "`users` must be a list of users"),
        (MIXED.replace("a: b", "users: 3"), "`users` must be a list of users"),
        (MIXED.replace("a: b", "a: ["), "no valid YAML"),
        ("#cloud-config-archive\n" + "- x\n" * 101, "more than 100 parts"),
        ("Content-Type: x/y\n" * 101, "more than 100 parts"),
        ("#cloud-config-archive\na: b", "must be a list of parts"),
        ("#cloud-config-archive\n- !!int ''", "no !!int"),
        ('#cloud-config-archive\n- "#cloud-config\\nusers: null"', "`users` must be a list"),
        ("packages: jq", "`packages` must be a list"),
        ("hostname: [a]", "`hostname` must be a text"),
    ],
)
def test_what_can_t_be_used_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(UserDataError) as error:
        userdata.checked(text)
    assert error.value.message.startswith("The cloud-init configuration can't be used: ")
    assert why in error.value.message


@pytest.mark.parametrize(
    "text",
    [
        "runcmd: [[ls, -l], reboot, [sleep, 1], null]",
        "users: [default, {name: a, sudo: false}, {name: b, sudo: [x, y]}, {name: c, uid: 7}]",
        "write_files: [{path: /x}, {path: /y, permissions: '0644', append: true}]",
        "packages: [jq, [tree, '2.1'], {snap: [x]}]",
        "my_own_module: {anything: [1, {a: b}]}",
        "expiry: 2030-01-01\nbytes: !!binary aGVsbG8=\nset: !!set {a, b}",
        "a: &a [*a]",
        "base: &b {k: 1}\nuse: {<<: *b, k: 2}",
        "version: 3",
    ],
)
def test_what_cloud_init_takes_is_taken(text: str) -> None:
    assert userdata.checked(text)


def test_keys_that_cloud_init_does_not_know_are_told_with_what_was_meant() -> None:
    config = {
        "pakages": [], "my_module": {}, "ca-certs": {}, "bell\a": 1, 3: 4,
        "users": ["default", {"name": "bob", "ssh_authorised_keys": []}],
        "write_files": [{"path": "/x", "permission": "0600"}],
    }  # fmt: skip
    told = knownkeys.unknown(config)
    assert [text.split("`")[1::2] for text in told] == [
        ["pakages", "packages"], ["my_module"], ["bell"], ["3"],
        ["users[1].ssh_authorised_keys", "ssh_authorized_keys"],
        ["write_files[0].permission", "permissions"],
    ]  # fmt: skip
    assert len(knownkeys.unknown(dict.fromkeys(map(str, range(99))))) == knownkeys.MAX_TOLD


def parts_of(text: str) -> tuple[str, list[Message]]:
    made = userdata.merge(userdata.checked(text), "foo", LINES, HOST_KEY, "Asia/Tokyo")
    message = email.message_from_bytes(made.encode())
    assert message.get_content_type() == "multipart/mixed" and not message.defects
    parts = message.get_payload()
    assert isinstance(parts, list)
    return made, parts  # type: ignore[return-value]


@pytest.mark.parametrize("type_", OTHERS)
def test_what_is_no_configuration_reaches_cloud_init_as_it_came(type_: str) -> None:
    text = OTHERS[type_]
    made, parts = parts_of(text)
    assert text in made or not text.isascii()
    (found,) = (part for part in parts if part.get_content_type() == type_)
    payload = found.get_payload(decode=True)
    assert isinstance(payload, bytes) and payload.decode() == text


def test_a_message_of_several_parts_is_one_of_ours() -> None:
    made, parts = parts_of(MIXED)
    assert MIXED in made
    (theirs,) = (part for part in parts if part.is_multipart())
    found = [part.get_content_type() for part in theirs.walk()]
    assert found == ["multipart/mixed", "text/x-shellscript", "text/cloud-config"]


def test_beside_it_is_all_that_the_service_needs() -> None:
    _, parts = parts_of(JINJA)
    first, _, before, after, keys, defaults = parts

    def said(part: Message) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load(part.get_payload())  # type: ignore[arg-type]
        return loaded

    assert (said(defaults)["hostname"], said(defaults)["timezone"]) == ("foo", "Asia/Tokyo")
    assert said(first)["users"][1:] == ["default"]
    for part, way in ((first, None), (before, "prepend"), (after, "append")):
        ours = said(part)["users"][0]
        assert (ours["name"], ours["ssh_authorized_keys"]) == ("ubuntu", list(LINES))
        assert way is None or way in part["Merge-Type"]
    for part in (first, keys):
        assert said(part)["ssh_keys"]["ed25519_public"] == HOST_KEY.public


def test_a_bomb_of_aliases_stays_as_small_as_it_came() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    config = userdata.checked("\n".join(lines))
    assert len(userdata.merge(config, "foo", LINES, HOST_KEY, "")) < 10_000


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
    config = userdata.parse(merging(3, 2) + "users: &users [default]\nalso: *users\n")
    assert config["a3"] == {"k": "v", "k1": "v", "k2": "v", "k3": "v"}
    assert config["also"] == ["default"]


@given(
    st.sampled_from(["", "users: ", "users: [", "- ", "#cloud-config-archive\n- ", "ssh_keys: "]),
    st.lists(st.sampled_from([*TAGS, *VALUES, *KEYS]), max_size=12).map(" ".join),
)
def test_all_that_is_taken_can_be_merged_and_all_else_is_a_sentence(start: str, rest: str) -> None:
    try:
        user = userdata.checked(start + rest)
    except UserDataError as error:
        assert error.message.endswith(".") and error.message.isprintable()
        return
    made = userdata.merge(user, "foo", LINES, HOST_KEY, "")
    made.encode()
    if isinstance(user, dict):
        assert yaml.safe_load(made)["users"][0]["name"] == "ubuntu"
