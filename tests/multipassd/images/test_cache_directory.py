"""Images may be a user's own: no other user of the host gets at them in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from multipassd.images import cache_directory
from multipassd.images.cache_directory import CacheDirectory


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_new_cache_is_closed_to_other_users(tmp_path: Path) -> None:
    with CacheDirectory.at(tmp_path / "storage" / "images"):
        assert mode(tmp_path / "storage" / "images") == 0o700


@pytest.mark.parametrize(("before", "after"), [(0o711, 0o710), (0o755, 0o750), (0o750, 0o750)])
def test_one_that_others_could_enter_is_closed_and_stays_open_to_its_group(
    tmp_path: Path, before: int, after: int
) -> None:
    tmp_path.chmod(before)
    cache_directory.make_cache(tmp_path)
    assert mode(tmp_path) == after
