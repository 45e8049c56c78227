"""What the host can give an instance."""

from __future__ import annotations

import os
from pathlib import Path

from multipassd.instances import host_limits
from multipassd.instances.host_limits import HostLimits

GIB = 1 << 30


def test_this_host_has_memory_and_a_file_system_even_for_a_directory_to_come(
    tmp_path: Path,
) -> None:
    found = host_limits.read(tmp_path / "not" / "there")
    status = os.statvfs(tmp_path)
    assert found.disk == status.f_frsize * status.f_blocks
    assert found.memory >= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 0.9


def test_as_much_as_there_is_can_be_had_and_a_byte_more_is_a_sentence(tmp_path: Path) -> None:
    limits = HostLimits(2 * GIB, 10 * GIB, tmp_path)
    assert limits.memory_excess(2 * GIB) == limits.disk_excess(10 * GIB) == ""
    assert "is more than this host has, which is 2.0GiB" in limits.memory_excess(2 * GIB + 1)
    assert f"{tmp_path}, which has 10.0GiB" in limits.disk_excess(10 * GIB + 1)


def test_what_is_unknown_limits_nothing(tmp_path: Path) -> None:
    limits = HostLimits(0, 0, tmp_path)
    assert limits.memory_excess(1 << 60) == limits.disk_excess(1 << 60) == ""
