"""Several users of one host, with instances on a cluster: each has its own, and log-ins end with
the trust of a client as they do on QEMU."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.network.closing import mark
from tests.instances.site import SIZE
from tests.instances.test_end_of_trust import Persons
from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site
from tests.system.people import People, Person

pytestmark = pytest.mark.host


class PersonsInside(Persons):
    """Where the cluster is reached, and the ports by which the service carries SSH are."""

    site: IncusSite

    def begin(self, person: Person, *words: str) -> subprocess.Popen[str]:
        environment = self.site.daemon.env(person.label)
        os.chown(self.site.sandbox.home(person.label), person.uid, person.gid)
        become = ("setpriv", f"--reuid={person.uid}", f"--regid={person.gid}", "--clear-groups")
        process = subprocess.Popen(
            [*self.site.entering, *become, self._program, *words], env=environment, cwd="/",
            text=True, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self._begun.append(process)
        return process


@pytest.fixture(scope="module")
def here(incus_base: Host, copy: Path, people: People) -> Iterator[PersonsInside]:
    with cluster(incus_base, members=2) as fabric, incus_site(fabric) as site:
        launched = site.cli("launch", "--name", "foo", *SIZE, "--target", "m2", site.url)
        assert launched.returncode == 0, launched
        persons = PersonsInside(site, copy)
        try:
            persons.join(people.bob, people.dave)
            yield persons
        finally:
            persons.end()
            table = f"multipass_closed_{mark(site.storage)}"
            command = ["nft", "delete", "table", "inet", table]
            subprocess.run([*site.entering, *command], check=False, capture_output=True)


# In the order of their story.


def test_a_user_sees_places_and_moves_its_own_instances_alone(
    here: PersonsInside, people: People
) -> None:
    site, carol = here.site, people.carol
    said = site.done("invite", carol.label, "--role", "user")
    (line,) = (word for word in said.split() if word.startswith("mpi1-"))
    here.done(carol, "authenticate", line)
    site.done("launch", "--name", "hers", *SIZE, "--target", "m1", site.url)
    site.done("set", f"local.hers.owner={carol.label}")

    (listed,) = json.loads(here.done(carol, "list", "--format", "json"))["list"]
    assert (listed["name"], listed["location"]) == ("hers", "m1")
    other = here.begin(carol, "move", "foo", "m1")
    _, errors = other.communicate(timeout=280)
    assert errors == 'move failed: instance "foo" does not exist\n'
    here.done(carol, "stop", "hers")
    assert here.done(carol, "move", "hers", "m2").endswith("Moved: hers to m2\n")
    assert site.fabric.instances()["hers"]["location"] == "m2"
    nowhere = here.begin(carol, "move", "hers", "m9")
    _, errors = nowhere.communicate(timeout=280)
    assert "has no host m9" in errors and "m1" not in errors


def test_log_ins_through_the_cluster_end_with_trust(here: PersonsInside, people: People) -> None:
    site = here.site
    bobs, daves = here.session(people.bob), here.session(people.dave)
    site.done("revoke", people.bob.label)
    bobs.communicate(timeout=60)  # it ends by itself
    assert bobs.returncode != 0
    assert daves.poll() is None, "another person's log-in goes on"
    assert site.inside("foo", "hostname") == "foo"
