"""The network of instances: is it there, and are guests reached?"""

from __future__ import annotations

from collections.abc import Callable

from multipassd.drivers.finding import Finding, fine, note, problem
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.networking import networks
from protocol import settings as names

VIRTUAL_MACHINE = "virtual-machine"
NAME = (
    "`multipass set local.incus.network=` with one that this host and clients reach, as of type "
    "macvlan, physical or ovn; `incus network list` on a member shows them"
)

Setting = Callable[[str], str]


async def look(api: Api, setting: Setting, members: int, found: list[Finding]) -> None:
    """`members`: how many the cluster has. Raises IncusError."""
    read = await networks.read(api, setting(names.INCUS_NETWORK), members)
    if read.usual not in read.found:
        found.append(problem(f"instances can't be connected, as {read.why}", NAME))
    elif read.direct:
        found.append(fine(f"guests are reached directly, on the network {read.usual}"))
    elif setting(names.INCUS_TYPE) == VIRTUAL_MACHINE:
        found.append(problem(f"virtual machines could not be reached, as {read.why}", NAME))
    else:
        text = f"guests are reached through the cluster, on the network {read.usual}, as {read.why}"
        found.append(note(text) if setting(names.INCUS_NETWORK) else fine(text))
