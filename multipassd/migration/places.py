"""Where Multipass 1.16 may have kept its instances on this host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from multipassd.instances.records.earlier_installation import RECORDS
from multipassd.migration.error import CannotTake
from multipassd.migration.vault import Vault

USUAL = (
    "/var/snap/multipass/common/data/multipassd",  # the snap
    "/var/lib/multipassd/data",
    "/var/lib/multipass/data",
    "/root/.local/share/multipassd",
)
BELOW = (
    "",
    "data",
    "data/multipassd",
)  # of what --from names: the data, $MULTIPASS_STORAGE, a snap's


def vaults(named: Path | None, own: Path, environ: Mapping[str, str]) -> list[Vault]:
    """Those that are there. `own`: this service's data, where a snap of 1.16 had it, too. Raises
    CannotTake if the one that is named is none."""
    if named is not None:
        named = Path(os.path.abspath(named))
        for data in (named / below for below in BELOW):
            if _is_vault(data):
                return [Vault(data)]
        raise CannotTake(f"There is no {RECORDS} of Multipass 1.16 in {named} or {named / 'data'}.")
    storage = environ.get("MULTIPASS_STORAGE")
    usual = [own, *([Path(storage) / "data"] if storage else []), *map(Path, USUAL)]
    return [Vault(data) for data in dict.fromkeys(usual) if _is_vault(data)]


def _is_vault(data: Path) -> bool:
    caches = (data.parent / "cache", data.parent.parent / "cache" / data.name)
    return any((directory / RECORDS).exists() for directory in (data, *caches))
