"""What to type next: the two packages have different names for the same things."""

from __future__ import annotations

import os
from dataclasses import dataclass

from protocol import places


@dataclass(frozen=True)
class Words:
    trust: str  # the administrator's program
    unit: str  # the daemon's, for systemd
    start: str
    restart: str
    look: str  # into what went wrong
    kvm: str  # how to have it


FIRMWARE = (
    "enable virtualisation in its firmware, or nested virtualisation where it is a guest itself"
)
DEB = Words(
    trust="multipass-trust",
    unit="multipassd.service",
    start="`sudo systemctl start multipassd.socket`",
    restart="`sudo systemctl restart multipassd`",
    look="`systemctl status multipassd` and `journalctl -u multipassd -e`",
    kvm=FIRMWARE,
)
SNAP = Words(
    trust="multipass.trust",
    unit="snap.multipass.multipassd.service",
    start="`sudo snap start multipass`",
    restart="`sudo snap restart multipass.multipassd`",
    look="`snap services multipass` and `sudo snap logs multipass.multipassd`",
    kvm=f"`sudo snap connect multipass:kvm` if it is not connected yet; else {FIRMWARE}",
)


def here() -> Words:
    return SNAP if places.in_snap(os.environ) else DEB
