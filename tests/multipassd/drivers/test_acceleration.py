from __future__ import annotations

import pytest

from multipassd.drivers.qemu.acceleration import tcg_cpu


@pytest.mark.parametrize(
    ("machine", "sound"),
    [
        ("pc-i440fx-6.2", False),
        ("pc-i440fx-7.2", False),
        ("pc", False),  # unknown
        ("pc-i440fx-8.0", True),
        ("pc-i440fx-10.0", True),
    ],
)
def test_only_qemu_from_8_on_emulates_cmpxchg16b(machine: str, sound: bool) -> None:
    assert ("cx16=off" not in tcg_cpu(machine)) == sound
