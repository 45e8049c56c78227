"""An instance on the bridge that a daemon made which was started by hand."""

from __future__ import annotations

import json

from tests.instances.site import SIZE
from tests.multipassd.network import netns
from tests.multipassd.network.handstarted import hand_started
from tests.multipassd.network.site import new_site
from tools import cloudimage

pytestmark = netns.REQUIRED


def test_it_is_reached_by_the_address_that_list_shows(tiny_image: None) -> None:
    with new_site() as site, hand_started(site, "--network", "bridge") as daemon:
        image = f"file://{cloudimage.kept()}"
        launched = daemon.cli("launch", "--name", "foo", *SIZE, image)
        assert launched.returncode == 0, (launched, daemon.log())
        (listed,) = json.loads(daemon.cli("list", "--format", "json").stdout)["list"]
        (address,) = listed["ipv4"]
        has = "import socket, sys; socket.create_connection((sys.argv[1], 22), 10)"
        site.host.run("python3", "-c", has, address)
