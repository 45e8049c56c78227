"""What a launch is asked to make, checked before anything is made. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multipassd.images.image import Base
from multipassd.instances.host_limits import MIN_CPUS, MIN_MEMORY
from multipassd.instances.launching import petnames as friendly
from multipassd.instances.owners.owner import SERVICE, Owner
from multipassd.instances.owners.quotas import Amounts
from multipassd.instances.states.errors import LaunchRefused, RepeatedAddress
from protocol import names, sizes
from protocol.errors import RpcError
from protocol.messages.launch import LaunchError, LaunchRequest
from protocol.status import Status

if TYPE_CHECKING:
    from multipassd.auth.peer import Credentials

Code = LaunchError.ErrorCodes
Mode = LaunchRequest.NetworkOptions.Mode

DEFAULT_MEMORY = 1 << 30
MIN_DISK, DEFAULT_DISK = 512 << 20, 5 << 30
MAX_NETWORKS = 16  # PCI slots are few
MAX_NAME = 63  # it is the guest's host name, too (RFC 1035)


class DiskTooSmall(RpcError):
    """The image needs a larger disk."""

    status = Status.INVALID_ARGUMENT


class TooManyCpus(RpcError):
    """The driver's machines can't have that many CPUs."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, count: int, most: int) -> None:
        super().__init__(f"{count} CPUs are more than an instance can have, which is {most}.")


@dataclass(frozen=True)
class NetworkSpec:
    """A network card that is asked for."""

    network: str
    mac: str  # empty: one is made
    automatic: bool


@dataclass(frozen=True)
class LaunchSpec:
    """What a launch is to make."""

    name: str
    image: str
    remote: str
    cpus: int
    memory: int  # bytes
    disk: int  # bytes; 0: as large as usual and as the image needs
    time_zone: str
    user_data: str  # as cloud-init takes it, or empty
    networks: tuple[NetworkSpec, ...]
    timeout: float  # seconds; 0: the usual
    target: str = ""  # the host of a cluster to make it on; empty: any
    owner: Owner = SERVICE
    caller: Credentials | None = None  # opens a file:// image with its rights; None: not at all

    @property
    def amounts(self) -> Amounts:
        """What it takes of a quota, as far as it is known before its image is."""
        disk = self.disk or DEFAULT_DISK
        return Amounts(1, self.cpus, self.memory, disk, networks=len(self.networks))

    def disk_for(self, base: Base) -> int:
        """How large the disk becomes. Raises DiskTooSmall."""
        if not self.disk:
            return max(DEFAULT_DISK, base.virtual_size)
        if self.disk < base.virtual_size:
            raise DiskTooSmall(
                f"Requested disk ({self.disk} bytes) below minimum for this image "
                f"({base.virtual_size} bytes)"
            )
        return self.disk


def read(request: LaunchRequest, taken: Container[str], max_cpus: int) -> LaunchSpec:
    """`taken`: the names that are in use. Raises LaunchRefused with all that is wrong, TooManyCpus,
    RepeatedAddress."""
    wrong: list[Code] = []
    name = request.instance_name or friendly.generate(taken)
    if not names.valid(name) or len(name) > MAX_NAME:
        wrong.append(Code.INVALID_HOSTNAME)
    memory = _size(request.mem_size, MIN_MEMORY, DEFAULT_MEMORY)
    if memory is None:
        wrong.append(Code.INVALID_MEM_SIZE)
    disk = _size(request.disk_space, MIN_DISK, 0)
    if disk is None:
        wrong.append(Code.INVALID_DISK_SIZE)
    networks = [
        NetworkSpec(each.id, each.mac_address.lower(), each.mode == Mode.AUTO)
        for each in request.network_options
    ]
    if len(networks) > MAX_NETWORKS or any(not _sound(each) for each in networks):
        wrong.append(Code.INVALID_NETWORK)
    if wrong:
        raise LaunchRefused(wrong)
    if request.num_cores > max_cpus:
        raise TooManyCpus(request.num_cores, max_cpus)
    given = Counter(each.mac for each in networks if each.mac)
    if repeated := next((mac for mac, times in given.items() if times > 1), ""):
        raise RepeatedAddress(repeated)
    return LaunchSpec(
        name=name,
        image=request.image,
        remote=request.remote_name,
        cpus=max(request.num_cores, MIN_CPUS),
        memory=memory or DEFAULT_MEMORY,
        disk=disk or 0,
        time_zone=request.time_zone,
        user_data=request.cloud_init_user_data,
        networks=tuple(networks),
        timeout=float(max(request.timeout, 0)),
        target=request.target,
    )


def _size(text: str, least: int, default: int) -> int | None:
    if not text:
        return default
    try:
        size = sizes.parse(text)
    except sizes.SizeError:
        return None
    return size if size >= least else None


def _sound(order: NetworkSpec) -> bool:
    parts = order.mac.split(":") if order.mac else []
    mac = not order.mac or (
        len(parts) == 6 and all(len(part) == 2 and _is_hexadecimal(part) for part in parts)
    )
    return bool(order.network) and mac


def _is_hexadecimal(text: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in text)
