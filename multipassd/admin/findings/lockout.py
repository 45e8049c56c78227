"""Find administrators who are locked out, and the command that lets them in."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import suppress

from multipassd.admin.access import user
from multipassd.admin.access.locations import invoker
from multipassd.admin.findings.report import Report
from multipassd.auth.installer import InstallerError, certificate_of
from multipassd.auth.run_as_user import HomeError
from multipassd.system import installation
from multipassd.trust.store import TrustStore
from protocol import admins
from protocol.pem import fingerprint

MAX_USERS = 50  # whose homes are looked into, a process each


def look(store: TrustStore, passphrase: bool, report: Report) -> None:
    """Administrators who have a client, but an untrusted one."""
    for account in _administrators():
        try:
            found = [certificate_of(account, each, make=False) for each in user.present(account)]
        except (HomeError, InstallerError) as error:
            report.note(str(error))
            continue
        if not found or any(store.trusts(fingerprint(der)) for der in found):
            continue
        name = account.pw_name
        if passphrase:
            report.note(f"{name} is not trusted, and gets in with `multipass authenticate`")
        else:
            report.problem(
                f"{name} is locked out: not trusted, and there is no passphrase to give",
                f"`sudo {installation.here().trust} add --user {name}`",
                (installation.here().trust, "add", "--user", name),
            )


def _administrators() -> Iterator[pwd.struct_passwd]:
    """Who is at work and, for root, the members of the admin groups; root needs no help."""
    names = set()
    with suppress(KeyError, OverflowError):  # SUDO_UID is anybody's text
        names.add(pwd.getpwuid(invoker()).pw_name)
    if os.geteuid() == 0:
        for group in admins.GROUPS:
            with suppress(KeyError):
                names.update(grp.getgrnam(group).gr_mem)
    for name in sorted(names)[:MAX_USERS]:
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            if account.pw_uid:
                yield account
