"""The user's data for cloud-init and ours in one. Pure.

Ours wins where the service depends on it (the host key, our way in); elsewhere the user's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from multipassd.cloudinit import schema
from multipassd.cloudinit.mime import Part, message
from multipassd.cloudinit.parts import Broken, configurations
from multipassd.cloudinit.ssh_keys import SshKey
from multipassd.cloudinit.value_checks import Misshapen
from protocol import yaml_text
from protocol.errors import RpcError
from protocol.status import Status
from protocol.user_data_kinds import CONFIG, kind

USER = "ubuntu"  # who the service and its clients log in as
HEADER = "#cloud-config\n"
MAX_USER_DATA = 1 << 20  # bytes; cloud-init's own sources allow far less

KEY_NAMES = ("ssh_authorized_keys", "ssh-authorized-keys")

# How cloud-init merges what comes with what was before: docs.cloud-init.io, "Merging user data
# sections". Without a word the later part's keys replace the earlier one's.
THEIRS = "dict(no_replace,recurse_list)+list(append)+str()"  # ours stays, their users come behind
OURS_FIRST = "dict(no_replace,recurse_list)+list(prepend)+str()"
OURS_LAST = "dict(no_replace,recurse_list)+list(append)+str()"
OUR_KEYS = "dict(no_replace,recurse_str)+list()+str()"
IF_MISSING = "dict(no_replace)+list()+str()"

Config = dict[str, Any]
UserData = Config | Part  # a configuration, or something else that cloud-init takes, as it came


class UserDataError(RpcError):
    """It is no configuration that cloud-init would take."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, why: str) -> None:
        super().__init__(f"The cloud-init configuration can't be used: {why}")


def checked(text: str) -> UserData:
    """What a user gives, of which `merge` is known to succeed. Raises UserDataError."""
    if len(text) > MAX_USER_DATA:
        raise UserDataError(f"it is longer than {MAX_USER_DATA} characters.")
    found = kind(text)
    if found != CONFIG:
        _check_inside(found, text)
        return Part(found, text)
    config = parse(text)
    if config:
        import yaml  # as in yamltext.py: only a launch needs it

        try:
            schema.check(config)
            merge(config, "trial", (), SshKey(b"", ""), "")
        except Misshapen as error:
            raise UserDataError(str(error)) from None
        except (yaml.YAMLError, RecursionError):
            raise UserDataError("it is nested too deeply.") from None
    return config


def _check_inside(found: str, text: str) -> None:
    """Raises UserDataError."""
    try:
        for inside in configurations(found, text):
            config = parse(inside)
            schema.check(config)
            if not isinstance(config.get("users", []), list | str):
                raise UserDataError("`users` must be a list of users in a part, or ours is lost.")
    except (Broken, Misshapen) as error:
        raise UserDataError(str(error)) from None


def parse(text: str) -> Config:
    """A configuration; empty for an empty text. Raises UserDataError."""
    try:
        config = yaml_text.load(text)
    except yaml_text.Unreadable as error:
        raise UserDataError(str(error)) from None
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise UserDataError("it must be a mapping of keys to values.")
    return config


def merge(
    user: UserData, name: str, authorised: Sequence[str], host_key: SshKey, time_zone: str
) -> str:
    """The text of user-data for the instance `name`. `authorised`: lines of an authorized_keys."""
    defaults = _defaults(name, time_zone)
    if isinstance(user, Part):
        return _layered(user, defaults, authorised, host_key)
    merged = defaults | user
    merged["users"] = _users(user.get("users", ["default"]), authorised)
    merged["ssh_keys"] = _mapping(user.get("ssh_keys")) | host_keys(host_key)
    return HEADER + readable(merged)


def _layered(theirs: Part, defaults: Config, authorised: Sequence[str], host_key: SshKey) -> str:
    """What theirs says is known in the guest only, so cloud-init merges. Ours is said before it and
    again behind it, as parts that it brings itself may replace what was before. Of a user the
    first entry makes them, even if others fail, and what the last one says counts."""
    ours = {"users": [_our_user(authorised)]}
    keys = {"ssh_keys": host_keys(host_key)}
    return message(
        (
            _config({"users": [*ours["users"], "default"], **keys}),
            replace(theirs, merge=THEIRS),
            _config(ours, OURS_FIRST),
            _config(ours, OURS_LAST),
            _config(keys, OUR_KEYS),
            _config(defaults, IF_MISSING),
        )
    )


def _config(config: Config, merge: str = "") -> Part:
    return Part(CONFIG, HEADER + readable(config), merge)


def _defaults(name: str, time_zone: str) -> Config:
    ours: Config = {
        "hostname": name,
        "preserve_hostname": False,
        "manage_etc_hosts": True,
        "growpart": {"mode": "auto", "devices": ["/"], "ignore_growroot_disabled": False},
    }
    if time_zone:
        ours["timezone"] = time_zone
    return ours


def host_keys(host_key: SshKey) -> Config:
    return {"ed25519_private": host_key.private.decode(), "ed25519_public": host_key.public}


def readable(config: Config) -> str:
    """Texts of several lines as such: keys and scripts stay legible in the seed. Each text of one
    line is on one, also a long one of an authorized_keys."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent)
    text: str = yaml.dump(
        config, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=MAX_USER_DATA
    )
    return text


def _users(given: object, authorised: Sequence[str]) -> list[object]:
    """The user's list with ours in it: named, as not every image's default user is called so; and
    first, as cloud-init makes no more users after one that it can't make."""
    users = _listed(given)
    ours: object = _our_user(authorised)
    for number, entry in enumerate(users):
        if isinstance(entry, dict) and entry.get("name") == USER:
            ours = _with_key(entry, authorised)
            del users[number]
            break
    return [ours, *(user for user in users if user not in (None, USER))]


def _our_user(authorised: Sequence[str]) -> Config:
    return {
        "name": USER,
        "gecos": "Ubuntu",
        "groups": ["adm", "sudo"],
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": True,
        KEY_NAMES[0]: list(authorised),
    }


def _listed(given: object) -> list[object]:
    """All forms that cloud-init takes: a list, names in a text, a mapping of names to entries."""
    match given:
        case None:
            return []
        case list():
            return list(given)
        case str():
            return [name.strip() for name in given.split(",") if name.strip()]
        case {"name": _}:
            return [given]
        case dict():
            return [
                {"name": name, **entry} if isinstance(entry, dict) else name
                for name, entry in given.items()
                if entry is not False
            ]
    raise UserDataError("`users` must be a list of users.")


def _with_key(entry: Config, authorised: Sequence[str]) -> Config:
    """Beside the user's own keys, under either of the names that cloud-init knows."""
    kept = {name: value for name, value in entry.items() if name not in KEY_NAMES}
    keys: list[object] = []
    for name in KEY_NAMES:
        given = entry.get(name) or []
        if not isinstance(given, str | list):
            raise UserDataError(f"`{name}` of a user must be a list of keys.")
        keys += [given] if isinstance(given, str) else given
    return kept | {KEY_NAMES[0]: [*keys, *authorised]}


def _mapping(value: object) -> Config:
    return value if isinstance(value, dict) else {}
