"""An instance on the bridge that a daemon made which was started by hand."""

from __future__ import annotations

import json

from tests.instances.site import SIZE
from tests.multipassd.network import netns
from tests.multipassd.network.handstarted import hand_started
from tests.multipassd.network.site import new_site
from tools import cloudimage

pytestmark = netns.REQUIRED


def test_it_and_its_clone_are_reached_by_the_addresses_that_list_shows(tiny_image: None) -> None:
    with new_site() as site, hand_started(site, "--network", "bridge") as daemon:
        image = f"file://{cloudimage.kept()}"
        launched = daemon.cli("launch", "--name", "foo", *SIZE, image)
        assert launched.returncode == 0, (launched, daemon.log())
        (listed,) = json.loads(daemon.cli("list", "--format", "json").stdout)["list"]
        (address,) = listed["ipv4"]
        has = "import socket, sys; socket.create_connection((sys.argv[1], 22), 10)"
        site.host.run("python3", "-c", has, address)
        for words in (("stop", "foo"), ("clone", "foo"), ("start", "foo-clone1")):
            done = daemon.cli(*words)
            assert done.returncode == 0, (done, daemon.log())
        listed = json.loads(daemon.cli("list", "--format", "json").stdout)["list"]
        (of_clone,) = next(each["ipv4"] for each in listed if each["name"] == "foo-clone1")
        assert of_clone != address
        site.host.run("python3", "-c", has, of_clone)
