"""The user's cloud-init configuration and ours in one. Pure.

Ours wins where the service depends on it (the host key, our way in); elsewhere the user's does.
"""

from __future__ import annotations

from typing import Any

from multipassd.cloudinit.excess import Excessive, refuse_excessive
from multipassd.cloudinit.hostkeys import SshKey
from multipassd.instances.guest import USER
from protocol.errors import RpcError
from protocol.status import Status

HEADER = "#cloud-config\n"
MAX_USER_DATA = 1 << 20  # bytes; cloud-init's own sources allow far less

KEY_NAMES = ("ssh_authorized_keys", "ssh-authorized-keys")

Config = dict[str, Any]


class UserDataError(RpcError):
    """It is no configuration that cloud-init would take."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, why: str) -> None:
        super().__init__(f"The cloud-init configuration can't be used: {why}")


def parse(text: str) -> Config:
    """The user's configuration; empty for an empty text. Raises UserDataError."""
    if len(text) > MAX_USER_DATA:
        raise UserDataError(f"it is longer than {MAX_USER_DATA} characters.")
    import yaml  # 13 ms of the daemon's start that only a launch needs

    try:
        config = _loaded(text)
    except Excessive as error:
        raise UserDataError(str(error)) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserDataError(f"it is no valid YAML: {_position(error)}") from None
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise UserDataError("it must be a mapping of keys to values.")
    return config


def _loaded(text: str) -> object:
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        refuse_excessive(node)
        loaded: object = loader.construct_document(node)
        return loaded
    finally:
        loader.dispose()


def checked(text: str) -> Config:
    """The user's configuration, of which `merge` is known to succeed. Raises UserDataError."""
    import yaml

    config = parse(text)
    if config:
        try:
            merge(config, "trial", "", SshKey(b"", ""), "")
        except (yaml.YAMLError, RecursionError):
            raise UserDataError("it is nested too deeply.") from None
    return config


def merge(user: Config, name: str, authorised_key: str, host_key: SshKey, time_zone: str) -> str:
    """The text of user-data for the instance `name`."""
    ours: Config = {
        "hostname": name,
        "preserve_hostname": False,
        "manage_etc_hosts": True,
        "growpart": {"mode": "auto", "devices": ["/"], "ignore_growroot_disabled": False},
    }
    if time_zone:
        ours["timezone"] = time_zone
    merged = ours | user
    merged["users"] = _users(user.get("users", ["default"]), authorised_key)
    merged["ssh_keys"] = {
        **_mapping(user.get("ssh_keys")),
        "ed25519_private": host_key.private.decode(),
        "ed25519_public": host_key.public,
    }
    return HEADER + _readable(merged)


def _readable(config: Config) -> str:
    """Texts of several lines as such: keys and scripts stay legible in the seed."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent)
    text: str = yaml.dump(config, Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return text


def _users(given: object, authorised_key: str) -> list[object]:
    """The user's list with ours in it: named, as not every image's default user is called so."""
    users = _listed(given)
    for number, entry in enumerate(users):
        if isinstance(entry, dict) and entry.get("name") == USER:
            users[number] = _with_key(entry, authorised_key)
            return users
    ours = {
        "name": USER,
        "gecos": "Ubuntu",
        "groups": ["adm", "sudo"],
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": True,
        "ssh_authorized_keys": [authorised_key],
    }
    return [*(user for user in users if user not in (None, USER)), ours]


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


def _with_key(entry: Config, authorised_key: str) -> Config:
    """Beside the user's own keys, under either of the names that cloud-init knows."""
    kept = {name: value for name, value in entry.items() if name not in KEY_NAMES}
    keys: list[object] = []
    for name in KEY_NAMES:
        given = entry.get(name) or []
        if not isinstance(given, str | list):
            raise UserDataError(f"`{name}` of a user must be a list of keys.")
        keys += [given] if isinstance(given, str) else given
    return kept | {KEY_NAMES[0]: [*keys, authorised_key]}


def _mapping(value: object) -> Config:
    return value if isinstance(value, dict) else {}


def _position(error: Exception) -> str:
    import yaml

    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}."
    return "it is nested too deeply or not text."
