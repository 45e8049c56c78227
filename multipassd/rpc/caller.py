"""The caller of a call: what only an admin may do, and the caller as an owner of instances."""

from __future__ import annotations

from functools import partial
from typing import Any

from multipassd.instances.instance import Instance
from multipassd.instances.owners import quotas
from multipassd.instances.owners.claims import Charge
from multipassd.instances.owners.owner import Owner
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.errors import NotForRole
from protocol.roles import Role


def check_admin(call: Call[Any]) -> None:
    """For a part of a call that lesser roles may make otherwise. Raises NotForRole."""
    role = call.standing.role
    if role is not None and role is not Role.ADMIN:
        raise NotForRole(role)


def owner(call: Call[Any], daemon: Daemon) -> Owner:
    """For whom the call makes an instance, with the quota that holds now. Raises SettingsUnusable
    where a lesser role's quota can't be read."""
    name, role = call.standing.name, call.standing.role or Role.VIEWER
    if role is Role.ADMIN and daemon.settings.problem:
        return Owner(name)  # who can repair the settings is not shut out by them
    limits = quotas.limits_of(name, role, daemon.settings.quotas())
    return Owner(name, call.instances.whole, limits)


def charge(call: Call[Any], daemon: Daemon, instance: Instance) -> Charge:
    """What counts a change of the instance against the payer's quota. Raises as `owner`."""
    payer = owner(call, daemon).charged_for(instance.record.owner)
    return partial(daemon.instances.claims.hold, payer)
