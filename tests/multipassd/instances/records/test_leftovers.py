"""What a killed daemon left of its instances' network, a real one, goes at its next start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.instances.collection import Instances
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import Record
from multipassd.instances.records.registry import Registry
from multipassd.network import reservations
from multipassd.network.bridge import tap_name
from multipassd.system import boot_id
from tests.multipassd.instances.site import Parts
from tests.multipassd.network import netns
from tests.multipassd.network.site import Site, cards, new_site, until
from tools import records

ENDED, PURGED, BROKEN = (f"52:54:00:00:00:0{number}" for number in range(3))

pytestmark = netns.REQUIRED


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as made:
        yield made


def known(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "data/instances", tmp_path / "machines")


def that_ran() -> Record:
    """Until its daemon was killed, and it ended by itself."""
    ran = {"phase": Phase.RUNNING, "boot": boot_id.current()}
    return records.make("ended").replace(mac=ENDED, **ran)


def start(site: Site, tmp_path: Path, settled: Callable[[], bool]) -> None:
    """As a daemon does, and wait until it has settled."""

    async def story() -> None:
        driver = QemuDriver(DetachedRunner(tmp_path / "run"), tmp_path / "machines", "tcg")
        one = Instances(known(tmp_path), Parts(driver, site.networking))
        one.load()
        await one.resume()
        await asyncio.to_thread(until, lambda: settled() and not one.busy)
        one.close()

    asyncio.run(story())


def taps(site: Site) -> set[str]:
    return {name for name in site.host.links() if name.startswith("mp-")}


def test_one_that_ended_is_unplugged_and_one_that_was_purged_forgotten(
    site: Site, tmp_path: Path
) -> None:
    known(tmp_path).put(that_ran())
    with site.service():
        site.attach(that_ran().cards)
        site.attach(cards("purged", PURGED))
        start(
            site,
            tmp_path,
            lambda: not taps(site) and [*reservations.read(site.directory)] == [ENDED],
        )


def test_nothing_is_forgotten_while_a_record_can_not_be_read(site: Site, tmp_path: Path) -> None:
    known(tmp_path).put(that_ran())
    (tmp_path / "data/instances/broken.json").write_text("{")
    with site.service():
        site.attach(that_ran().cards)
        site.attach(cards("broken", BROKEN))
        start(site, tmp_path, lambda: tap_name(ENDED) not in taps(site))
        assert taps(site) == {tap_name(BROKEN)}
        assert set(reservations.read(site.directory)) == {ENDED, BROKEN}
