"""A container of Debian with the real cloud-init on a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site
from tools import debiancontainer, roots

CLOUD_INIT = """\
write_files:
- path: /etc/written
  content: by cloud-init
runcmd:
- echo made by $(whoami) > /made
timezone: Asia/Tokyo
"""

STATUS = ("cloud-init", "status")
FINISHED = "status: done"

pytestmark = [pytest.mark.host, pytest.mark.slow]


@pytest.fixture
def site(incus_base: Host) -> Iterator[IncusSite]:
    with cluster(incus_base) as fabric, incus_site(fabric) as made:
        yield made


def test_the_real_cloud_init_finds_its_seed_and_does_as_it_says(site: IncusSite) -> None:
    try:
        image = debiancontainer.kept()
    except roots.RootError as error:
        pytest.skip(f"the image can't be built here: {error}")
    site.done("launch", "--name", "foo", "--cloud-init", "-", f"file://{image}", input=CLOUD_INIT)
    status = json.loads(site.inside("foo", "cloud-init status --format json"))
    assert (status["status"], status["datasource"]) == ("done", "nocloud"), status
    assert site.inside("foo", "hostname; cat /made /etc/written") == (
        "foo\nmade by root\nby cloud-init"
    )
    assert site.inside("foo", "readlink /etc/localtime").endswith("Asia/Tokyo")
    site.done("restart", "foo")
    site.wait_for(lambda: FINISHED in site.cli("exec", "foo", "--", *STATUS).stdout, "its end")
    site.done("stop", "foo")
    site.done("clone", "foo", "--name", "bar")
    site.done("start", "foo", "bar")
    ids = {site.inside(name, "cat /etc/machine-id") for name in ("foo", "bar")}
    assert len(ids) == 2
    assert site.inside("bar", "hostname") == "bar"
