from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.multipassd.instances.snapshots.gate import Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Not in tmp_path, which qemu-img's user may not enter."""
    with tempfile.TemporaryDirectory(prefix="multipass-") as place:
        yield Gate(Path(place))
