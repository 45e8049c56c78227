"""Which mounts come along. 1.16 served them as root; here each is served as one user of the host.

That is the user whose id the mount maps, if that user may list the source directory by their own
rights. Any other mount is left out, and told.
"""

from __future__ import annotations

import os
import pwd

from multipassd.auth.run_as_user import HomeError, run_as
from multipassd.instances.attachments import mount_targets
from multipassd.instances.records.record import IdPair, Mount, MountKind
from multipassd.migration.formats import NATIVE, OldMount
from multipassd.system import installation


class LeftOut(Exception):
    """The mount does not come along; the text is a clause that says why."""


def convert(old: OldMount, login: str) -> Mount:
    """`login`: the instance's login user. Raises LeftOut."""
    if mount_targets.refused(old.target_path, mount_targets.home(login)):
        raise LeftOut(f"{old.target_path!r} is no place in an instance to mount at")
    user = _user(old)
    _check_access(user, old.source_path)
    return Mount(
        source=old.source_path,
        target=old.target_path,
        uids=tuple(
            IdPair(host=each.host_uid, guest=each.instance_uid)
            for each in old.uid_mappings
            if each.host_uid >= 0
        ),
        gids=tuple(
            IdPair(host=each.host_gid, guest=each.instance_gid)
            for each in old.gid_mappings
            if each.host_gid >= 0
        ),
        kind=MountKind.NATIVE if old.mount_type == NATIVE else MountKind.CLASSIC,
        uid=user.pw_uid,
        gid=user.pw_gid,
    )


def _user(old: OldMount) -> pwd.struct_passwd:
    if installation.here().confined:
        raise LeftOut("the snap can't look at it with its user's rights")
    uid = next((each.host_uid for each in old.uid_mappings if each.host_uid >= 0), None)
    if uid is None:
        raise LeftOut("it maps no user of this host, whose rights it could be served with")
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise LeftOut(f"this host has no user {uid}, which it maps") from None


def _check_access(user: pwd.struct_passwd, source: str) -> None:
    def listed() -> bytes:
        os.listdir(source)
        return b""

    try:
        run_as(user, listed)
    except HomeError as error:
        raise LeftOut(str(error).rstrip(".")) from None
