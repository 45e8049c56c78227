"""Classic mounts in a container on a cluster, by the tests of those on QEMU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.instances import test_classic_mounts as same
from tests.instances.mounts import Mounted
from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def shared(incus_base: Host) -> Iterator[IncusSite]:
    with cluster(incus_base) as fabric, incus_site(fabric) as site:
        yield site


foo = same.foo
test_files_go_both_ways_with_the_ids_of_either_side = (
    same.test_files_go_both_ways_with_the_ids_of_either_side
)
test_the_guest_gets_nothing_that_the_user_could_not_get_alone = (
    same.test_the_guest_gets_nothing_that_the_user_could_not_get_alone
)


def test_it_comes_back_after_the_daemon_was_killed(foo: Mounted) -> None:
    """Which the connection to the container goes through."""
    foo.site.kill_daemon()
    foo.wait()


test_a_killed_part_ends_the_mount_at_once_and_it_comes_back = (
    same.test_a_killed_part_ends_the_mount_at_once_and_it_comes_back
)
test_it_comes_back_after_the_guests_own_reboot = same.test_it_comes_back_after_the_guests_own_reboot
