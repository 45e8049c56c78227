"""The seed: a small ISO 9660 disk labelled cidata, read by cloud-init's NoCloud source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from multipassd.cloudinit import vendor_data
from multipassd.cloudinit.ssh_authority import OURS
from multipassd.system.files import write_atomically

# The hypervisor's user reads it by its group, and writes nothing that root parses later
# (add_interfaces). Others don't read it: it may hold the user's secrets.
MODE = 0o640
LABEL = "cidata"
OURS_AS_BYTES = re.compile(OURS.pattern.encode())
HEADER = "#cloud-config\n"
NAMES = ("meta-data", "user-data", "vendor-data", "network-config")
AT_BOOT = ["boot-new-instance", "boot"]
EXTRA_METRIC = 200  # routes by further cards come after those by the first


@dataclass(frozen=True)
class Interface:
    """A card that the guest is to set up by DHCP."""

    mac: str
    optional: bool = False  # the boot does not wait for it


@dataclass(frozen=True)
class Seed:
    """What a seed disk holds."""

    name: str
    instance_id: str
    user_data: str  # whole, with its header
    interfaces: tuple[Interface, ...]
    copied: bool = False  # its disk is that of another guest, whose machine id it must not keep


def write(path: Path, seed: Seed) -> None:
    """Raises OSError."""
    write_atomically(path, image(files(seed)), MODE)


def add_interfaces(path: Path, interfaces: tuple[Interface, ...]) -> None:
    """Of an instance that has booted before: these are all that it has from now on. Raises OSError.

    cloud-init is configured to apply its network configuration at each boot instead of the first.
    """
    content = read(path)
    content["network-config"] = as_yaml(network_config(interfaces))
    updates = f"{HEADER}{as_yaml({'updates': {'network': {'when': AT_BOOT}}}).decode()}"
    before = content.get("vendor-data", b"")
    content["vendor-data"] = vendor_data.with_config(before, updates)
    write_atomically(path, image(content), MODE)


def with_keys(path: Path, former: str, key: str, authority: str, instance_id: str) -> bytes:
    """The same seed for another service or instance: its public key in the place of the former one,
    its authority's line in the place of any, and another instance id, so that cloud-init sees a
    first boot. Raises OSError, ValueError."""
    content = read(path)
    data = content.get("user-data", b"")
    if not former or former.encode() not in data:
        raise ValueError("it does not hold the key of the service that it is from")
    data = data.replace(former.encode(), key.encode())
    content["user-data"] = OURS_AS_BYTES.sub(lambda _: authority.encode(), data)
    content["meta-data"] = _of_instance(content, instance_id)
    return image(content)


def replace_keys(path: Path, former: Iterable[str], key: str) -> None:
    """Another public key in the place of the former ones, which cloud-init would write again in a
    clone. An empty `key`: none. Raises OSError."""
    content = read(path)
    data = content.get("user-data", b"")
    for each in former:
        kind, blob = (re.escape(word) for word in each.encode().split()[:2])
        if key:
            # YAML breaks long lines at spaces.
            data = re.sub(kind + rb"\s+" + blob, key.encode(), data)
        else:
            item = rb"(?m)^[ \t]*- " + kind + rb"\s+" + blob + rb"[^\S\n]*(\n|\Z)"
            data = re.sub(item, b"", data)
    if data != content.get("user-data", b""):
        content["user-data"] = data
        write_atomically(path, image(content), MODE)


def set_instance_id(path: Path, instance_id: str) -> None:
    """cloud-init takes the next boot for one of this instance. Raises OSError."""
    content = read(path)
    content["meta-data"] = _of_instance(content, instance_id)
    write_atomically(path, image(content), MODE)


def _of_instance(content: Mapping[str, bytes], instance_id: str) -> bytes:
    """The meta data with this instance id."""
    lines = content.get("meta-data", b"").splitlines()
    others = [line for line in lines if not line.startswith(b"instance-id:")]
    return b"\n".join([f"instance-id: {instance_id}".encode(), *others, b""])


def read(path: Path) -> dict[str, bytes]:
    """What a seed of ours or of 1.16's holds, by name. Raises OSError."""
    from pycdlib import PyCdlib
    from pycdlib.pycdlibexception import PyCdlibException, PyCdlibInvalidInput

    disk = PyCdlib()
    try:
        disk.open(str(path))
        content: dict[str, bytes] = {}
        for name in NAMES:
            data = BytesIO()
            with suppress(PyCdlibInvalidInput):  # 1.16 may have left it out
                disk.get_file_from_iso_fp(data, joliet_path=f"/{name}")
                content[name] = data.getvalue()
        disk.close()
    except PyCdlibException as error:
        raise OSError(f"{path} is no seed: {error}") from error
    return content


def files(seed: Seed) -> dict[str, bytes]:
    """What the disk holds, by name. Pure."""
    meta = {"instance-id": seed.instance_id, "local-hostname": seed.name}
    vendor = f"{HEADER}{{}}\n".encode()
    return {
        "meta-data": as_yaml(meta),
        "user-data": seed.user_data.encode(),
        "vendor-data": vendor_data.of_clone(vendor) if seed.copied else vendor,
        "network-config": as_yaml(network_config(seed.interfaces)),
    }


def network_config(interfaces: tuple[Interface, ...]) -> dict[str, Any]:
    ethernets: dict[str, Any] = {}
    for number, interface in enumerate(interfaces):
        entry: dict[str, Any] = {
            "match": {"macaddress": interface.mac},
            "dhcp4": True,
            "dhcp-identifier": "mac",
        }
        if interface.optional:
            entry |= {"optional": True, "dhcp4-overrides": {"route-metric": EXTRA_METRIC}}
        ethernets[f"extra{number - 1}" if number else "default"] = entry
    return {"version": 2, "ethernets": ethernets}


def as_yaml(value: object) -> bytes:
    import yaml  # as in userdata.py: only a launch needs it

    text: str = yaml.safe_dump(value, sort_keys=False)
    return text.encode()


def image(content: dict[str, bytes]) -> bytes:
    from pycdlib import PyCdlib  # 60 ms and 4 MiB that only a launch needs

    disk = PyCdlib()
    disk.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for number, (name, data) in enumerate(content.items()):
        disk.add_fp(
            BytesIO(data), len(data), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}"
        )
    image = BytesIO()
    disk.write_fp(image)
    disk.close()
    return image.getvalue()
