from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.multipassd.network.site import Site, new_site


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as made:
        yield made
