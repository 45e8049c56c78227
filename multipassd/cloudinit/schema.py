"""What cloud-init refuses in a configuration, as far as it would then not do what was asked for, in
the modules that most configurations use: docs.cloud-init.io, "Module reference". What is not here
is left to cloud-init. Pure."""

from __future__ import annotations

from typing import Any

from multipassd.cloudinit.value_checks import Misshapen, Shape

TEXT = Shape("a text", texts=True)
TEXT_OR_NUMBER = Shape("a text or a number", texts=True, numbers=True)
SWITCH = Shape("true or false", switches=True)
# Old forms that cloud-init still takes, with a word in its log.
SWITCH_OR_TEXT = Shape("true or false", switches=True, texts=True)
TEXTS = Shape("a list of texts", items=TEXT)
KEYS = Shape("a list of keys", texts=True, items=TEXT)
MAPPING = Shape("a mapping", mappings=True)

SUDO = Shape(
    "rules of sudo: a text or a list of texts", texts=True, items=TEXT, off=True, nothing=True
)
GROUPS = Shape("a text or a list of texts", texts=True, items=TEXT, mappings=True)
USER = {
    "name": TEXT,
    "doas": TEXTS,
    "gecos": TEXT_OR_NUMBER,
    "groups": GROUPS,
    "hashed_passwd": TEXT_OR_NUMBER,
    "homedir": TEXT,
    "lock_passwd": SWITCH,
    "no_create_home": SWITCH,
    "no_log_init": SWITCH,
    "no_user_group": SWITCH,
    "passwd": TEXT_OR_NUMBER,
    "plain_text_passwd": TEXT_OR_NUMBER,
    "primary_group": TEXT,
    "shell": TEXT,
    "ssh_authorized_keys": KEYS,
    "ssh_import_id": TEXTS,
    "ssh_redirect_user": SWITCH,
    "sudo": SUDO,
    "system": SWITCH,
    "uid": TEXT_OR_NUMBER,
}
ONE_USER = Shape("a name or a mapping", texts=True, mappings=True, items=TEXT, keys=USER)
USERS = Shape(
    "a list of users", texts=True, mappings=True, nothing=True,
    items=Shape("a name or a mapping", texts=True, mappings=True, items=TEXT, keys=USER,
                nothing=True),
)  # fmt: skip
COMMAND = Shape(
    "a text or a list of texts", texts=True, nothing=True,
    items=Shape("a text or a number", texts=True, numbers=True, switches=True, nothing=True),
)  # fmt: skip
COMMANDS = Shape("a list of commands", items=COMMAND)
FILE = Shape(
    "a mapping", mappings=True, required=(("path",),),
    keys={
        "path": TEXT, "content": TEXT, "owner": TEXT, "permissions": TEXT_OR_NUMBER,
        "encoding": TEXT, "append": SWITCH, "defer": SWITCH, "source": MAPPING,
    },
)  # fmt: skip
FILES = Shape("a list of mappings, each with a `path`", items=FILE)
PACKAGE = Shape("a name or a list of name and version", texts=True, items=TEXT, mappings=True)
PACKAGES = Shape("a list of names", items=PACKAGE)

CONFIG = Shape(
    "a mapping of keys to values", mappings=True,
    keys={
        "users": USERS,
        "user": ONE_USER,
        "groups": Shape("a list", texts=True, mappings=True, nothing=True,
                        items=Shape("a name or a mapping", texts=True, mappings=True)),
        "ssh_authorized_keys": TEXTS,
        "ssh_import_id": TEXTS,
        "disable_root": SWITCH_OR_TEXT,
        "ssh_pwauth": SWITCH_OR_TEXT,
        "password": TEXT_OR_NUMBER,
        "chpasswd": MAPPING,
        "hostname": TEXT,
        "fqdn": TEXT,
        "timezone": TEXT,
        "locale": Shape("a text or false", texts=True, off=True),
        "packages": PACKAGES,
        "package_update": SWITCH_OR_TEXT,
        "package_upgrade": SWITCH_OR_TEXT,
        "bootcmd": COMMANDS,
        "runcmd": COMMANDS,
        "write_files": FILES,
        "apt": MAPPING,
        "ntp": Shape("a mapping", mappings=True, nothing=True),
        "swap": MAPPING,
        "ca_certs": MAPPING,
        "mounts": Shape("a list", items=Shape("a list", items=Shape(
            "a text", texts=True, numbers=True, nothing=True))),
        "final_message": TEXT,
    },
)  # fmt: skip

NETWORK_KEYS = ("ethernets", "wifis", "bonds", "bridges", "vlans", "config", "renderer")


def check(config: dict[str, Any]) -> None:
    """Raises Misshapen."""
    _refuse_network(config)
    CONFIG.check(config, "")
    for number, user in enumerate(_list(config.get("users"))):
        if isinstance(user, dict) and not ("name" in user or "snapuser" in user):
            raise Misshapen(f"`users[{number}]` has no `name`.")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _refuse_network(config: dict[str, Any]) -> None:
    """cloud-init takes none from user data, and says nothing."""
    network = config.get("network")
    inside = isinstance(network, dict) and any(key in network for key in ("version", *NETWORK_KEYS))
    if inside or ("version" in config and any(key in config for key in NETWORK_KEYS)):
        raise Misshapen(
            "it configures the network, and cloud-init takes no network configuration from user "
            "data. An instance's cards are set up by themselves; `launch --network` adds one, with "
            "`mode=manual` for one that is to be set up otherwise, e.g. by a file for netplan in "
            "`write_files`."
        )
