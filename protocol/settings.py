"""The keys of the settings that the daemon keeps. Pure and light: the CLI imports it.

Keys of instances and snapshots come and go with those; they are no part of this table.
"""

from __future__ import annotations

BRIDGED_NETWORK = "local.bridged-network"
DRIVER = "local.driver"
FIRST_CLIENT = "local.first-client"
INCUS_NETWORK = "local.incus.network"
INCUS_POOL = "local.incus.pool"
INCUS_PROJECT = "local.incus.project"
INCUS_SHARED = "local.incus.shared"
INCUS_TARGET = "local.incus.target"
INCUS_TOKEN = "local.incus.token"
INCUS_TYPE = "local.incus.type"
MIRROR = "local.image.mirror"
PASSPHRASE = "local.passphrase"
PASSPHRASE_ROLE = "local.passphrase-role"
PRIVILEGED_MOUNTS = "local.privileged-mounts"
SHARED_SSH_KEY = "local.shared-ssh-key"
REFUSE_EXPIRED = "local.refuse-expired"

DAEMON_PREFIX = "local."  # the daemon checks all keys that begin with it

DAEMON_KEYS = {  # with their defaults
    BRIDGED_NETWORK: "",
    DRIVER: "qemu",
    FIRST_CLIENT: "admin",
    INCUS_NETWORK: "",
    INCUS_POOL: "",
    INCUS_PROJECT: "multipass",
    INCUS_SHARED: "false",
    INCUS_TARGET: "",
    INCUS_TOKEN: "",
    INCUS_TYPE: "virtual-machine",
    MIRROR: "",
    PASSPHRASE: "",
    PASSPHRASE_ROLE: "admin",
    PRIVILEGED_MOUNTS: "true",
    SHARED_SSH_KEY: "true",
    REFUSE_EXPIRED: "false",
}
# What a client may read that is to change nothing: what the services it sees run on.
HARMLESS_KEYS = frozenset({BRIDGED_NETWORK, DRIVER, MIRROR, PRIVILEGED_MOUNTS})
# Asked for without echo, never shown, and never quoted in an error.
SECRET_KEYS = frozenset({PASSPHRASE, INCUS_TOKEN})

SET = "true"  # all that is ever shown of a secret that is set


def is_for_daemon(key: str) -> bool:
    return key.startswith(DAEMON_PREFIX)
