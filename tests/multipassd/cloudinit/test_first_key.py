"""The service's key is made at the first need, which two launches may have at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from multipassd.cloudinit import ssh_keys
from multipassd.cloudinit.ssh_keys import ServiceKey, SshKey

LAUNCHES = 4


def test_two_first_launches_at_once_let_the_same_key_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's `cached_property` has kept no two threads apart since 3.12."""
    both, make = threading.Event(), ssh_keys.make
    makers: list[int] = []

    def slowly() -> SshKey:
        makers.append(threading.get_ident())
        if len(makers) > 1:
            both.set()
        both.wait(0.2)  # for another, who must not come
        return make()

    monkeypatch.setattr(ssh_keys, "make", slowly)
    key = ServiceKey(tmp_path)
    with ThreadPoolExecutor(LAUNCHES) as threads:
        found = set(threads.map(lambda _: key.public, range(LAUNCHES)))
    assert found == {ServiceKey(tmp_path).public} and len(makers) == 1
