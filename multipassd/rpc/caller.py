"""The caller of a call as an owner of instances."""

from __future__ import annotations

from typing import Any

from multipassd.instances.owner import Owner
from multipassd.rpc.call import Call


def owner(call: Call[Any]) -> Owner:
    """For whom the call makes an instance."""
    return Owner(call.standing.name, sees_all=call.instances.whole)
