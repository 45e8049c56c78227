from __future__ import annotations

import pytest

from tests.multipassd.admin.trust import Trust
from tools.sandbox import Sandbox


@pytest.fixture
def trust(sandbox: Sandbox) -> Trust:
    return Trust(sandbox)
