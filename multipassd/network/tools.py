"""The programs that set up a host's network: ip, nft, dnsmasq, nmcli, networkctl."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

SECONDS = 20.0
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C"}
PACKAGES = {
    "ip": "iproute2", "nft": "nftables", "dnsmasq": "dnsmasq-base", "nmcli": "network-manager",
    "networkctl": "systemd", "test": "coreutils",
}  # fmt: skip


class NetworkFailure(Exception):
    """The host's network can't be set up as instances need it; a sentence that says how to repair
    that."""


def program(name: str) -> str:
    """Path of the program. Raises NetworkFailure."""
    import shutil  # slow to import, and rarely needed

    found = shutil.which(name, path=PATH)
    if found is None:
        raise NetworkFailure(
            f"The instances' network needs the program {name}, which is not installed. "
            f"Please install the package {PACKAGES[name]}, then try again."
        )
    return found


def run(name: str, *arguments: str, given: str = "", seconds: float = SECONDS) -> str:
    """The program's output. Raises NetworkFailure with its first line of errors."""
    command = [program(name), *arguments]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, errors="replace",
            check=False, timeout=seconds, env=ENVIRONMENT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NetworkFailure(f"`{' '.join(command)}` took longer than {seconds:.0f} s.") from None
    except OSError as error:
        raise NetworkFailure(f"{command[0]} can't be started: {error.strerror}.") from None
    if done.returncode:
        why = done.stderr.strip().splitlines()
        raise NetworkFailure(
            f"`{name} {' '.join(arguments)}` failed: {why[0] if why else 'no reason given'}"
        )
    return done.stdout


def may(user: str, path: Path, *tests: str) -> bool:
    """May `user` access `path`? Tried by test(1) as this user, e.g. "-r", so groups, access control
    lists and the directories above count. True where it can't be tried: the real access fails
    then."""
    try:
        account = pwd.getpwnam(user)
        for test in tests:
            done = subprocess.run(
                [program("test"), test, str(path)],
                user=account.pw_uid, group=account.pw_gid,
                extra_groups=os.getgrouplist(user, account.pw_gid),
                check=False, timeout=SECONDS, env=ENVIRONMENT, cwd="/",
            )  # fmt: skip
            if done.returncode:
                return False
    except (KeyError, OSError, NetworkFailure, subprocess.SubprocessError):
        return True
    return True


def listed(name: str, *arguments: str) -> Any:
    """The program's output, parsed as JSON. Raises NetworkFailure."""
    return json.loads(run(name, *arguments) or "[]")
