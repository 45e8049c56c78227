"""Each thing that a cluster lacks is named, with what to do; asked of the fake of Incus, which
`test_api_cases.py` holds to the real one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import pytest

from multipassd.drivers.finding import Finding, Level
from multipassd.drivers.incus.api import membership
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.incus.inspection import cluster
from multipassd.drivers.incus.networking import networks
from protocol.settings import (
    INCUS_NETWORK,
    INCUS_POOL,
    INCUS_PROJECT,
    INCUS_TARGET,
    INCUS_TYPE,
)
from tests.multipassd.drivers.incus.fake_incus import PROJECT, FakeIncus, Fault, run

SETTINGS = {
    INCUS_NETWORK: "",
    INCUS_POOL: "",
    INCUS_PROJECT: PROJECT,
    INCUS_TARGET: "",
    INCUS_TYPE: "container",
}


LAN = {"name": "lan", "type": "physical", "managed": True, "status": "Created", "config": {}}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "incus"


async def inspected(directory: Path, known: Collection[str] = (), **given: str) -> list[Finding]:
    """`given`: settings by the last words of their keys."""
    settings = SETTINGS | {f"local.incus.{name}": value for name, value in given.items()}
    return await cluster.inspect(directory, settings.__getitem__, known)


def problems(found: list[Finding]) -> list[str]:
    assert all(each.cure for each in found if each.level is Level.PROBLEM), found
    return [each.text for each in found if each.level is Level.PROBLEM]


def notes(found: list[Finding]) -> list[str]:
    return [each.text for each in found if each.level is Level.NOTE]


Story = Callable[[FakeIncus], Awaitable[None]]


def told(directory: Path, story: Story, members: int = 2) -> None:
    """A story of a cluster that was joined."""

    async def work() -> None:
        async with FakeIncus(directory, members) as fake:
            await fake.join()
            await story(fake)

    run(work)


@pytest.mark.parametrize("members", [1, 2])
def test_a_cluster_that_lacks_nothing_is_fine(directory: Path, members: int) -> None:
    async def story(fake: FakeIncus) -> None:
        fake.resources.kvm = {"m1", "m2"}
        fake.resources.networks["lan"] = LAN
        fake.resources.gateway = ""
        for kind, named in (("container", ""), ("container", "lan"), ("virtual-machine", "lan")):
            found = await inspected(directory, type=kind, network=named)
            assert {each.level for each in found} == {Level.FINE}, found
        changes = [line for line in fake.requests if not line.startswith("GET")]
        assert changes == ["POST /1.0/certificates"]  # as it joined

    told(directory, story, members)


def test_one_that_was_not_joined_is_named_without_a_question(directory: Path) -> None:
    (found,) = asyncio.run(inspected(directory, project="people"))
    assert found.text == "this service has joined no Incus cluster"
    assert "--restricted --projects people" in found.cure


def test_missing_aiohttp_is_named_with_its_package(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "multipassd.drivers.incus.api.client"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    first, second = asyncio.run(inspected(directory))
    assert "joined no" in first.text
    assert (second.level, second.cure) == (Level.PROBLEM, "`sudo apt install python3-aiohttp`")


def test_a_key_that_others_may_read_is_a_problem(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        known = membership.read(directory)
        assert known is not None
        key = membership.credentials(known, directory) / membership.KEY
        key.chmod(0o640)
        (found,) = [each for each in await inspected(directory) if each.command]
        assert found.command == ("chmod", "600", str(key)) and "(0640)" in found.text

    told(directory, story)


def test_a_cluster_that_does_not_answer_is_named_by_its_addresses(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        await fake.kill("m2")
        found = await inspected(directory)
        addresses = [each.address for each in fake.members]
        assert [each for each in notes(found) if addresses[1] in each]
        assert problems(found) == ["the member m2 is offline: No heartbeat for 30s"]
        await fake.kill("m1")
        (text,) = problems(await inspected(directory))
        assert text.startswith("no member of the Incus cluster is reached")
        assert all(address in text for address in addresses)

    told(directory, story)


def test_another_certificate_than_the_pinned_one_is_a_problem(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        known = membership.read(directory)
        assert known is not None
        membership.write(known.replace(fingerprint="0" * 64), directory)
        before = len(fake.requests)
        found = problems(await inspected(directory))
        assert len(found) == 2 and all("another certificate" in each for each in found)
        assert len(fake.requests) == before  # nothing was sent

    told(directory, story)


def test_a_certificate_that_is_trusted_no_longer_or_too_far_is_a_problem(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        (rights,) = fake.trusted.values()
        rights["restricted"] = False
        (text,) = problems(await inspected(directory))
        assert "is not restricted to a project" in text
        fake.trusted.clear()
        (text,) = problems(await inspected(directory))
        assert text.endswith("does not trust the certificate of this service any more")

    told(directory, story)


def test_what_the_project_refuses_or_has_no_room_for_is_named(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        config, resources = fake.resources.config, fake.resources
        config.pop("restricted.snapshots")
        config["restricted.cluster.target"] = "block"
        config["features.images"] = "false"
        resources.limits["instances"] = (3, 3)
        images, snapshots, target, full = problems(await inspected(directory))
        assert "features.images=true" in images and "restricted.snapshots=allow" in snapshots
        assert "restricted.cluster.target=allow" in target
        assert full == f"the project {PROJECT} is full: it uses 3 of limits.instances=3"
        config |= {"restricted": "false", "features.images": "true"}
        resources.limits["instances"] = (4, 3)
        found = await inspected(directory)
        assert not problems(found) and "is root on the cluster's hosts" in notes(found)[0]

    told(directory, story)


def test_a_project_that_is_gone_is_a_problem(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        fake.instances.project = "another"
        (text,) = problems(await inspected(directory))
        assert text == f"the project {PROJECT} can't be used: Project not found"

    told(directory, story)


def test_settings_that_name_what_is_not_there_are_problems(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        project, target, pool = problems(
            await inspected(directory, project="other", target="m9", pool="fast")
        )
        assert "local.incus.project is other" in project
        assert target == "local.incus.target names m9, and the cluster has no such member"
        assert pool == "the cluster has no storage pool fast, which local.incus.pool names"
        del fake.resources.pools["default"]
        (pool,) = problems(await inspected(directory))
        assert "and local.incus.pool names no other" in pool

    told(directory, story)


def test_members_without_room_or_kvm_are_named(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        resources = fake.resources
        resources.used["m2"] = resources.total
        (text,) = problems(await inspected(directory))
        assert text == "the storage pool default on m2 is full: 0B of 10.0GiB left"
        resources.used["m2"] = resources.total - (1 << 29) - 1
        found = await inspected(directory)
        assert not problems(found) and "default on m2 has 512.0MiB" in notes(found)[0]
        del resources.used["m2"]
        resources.kvm = {"m1"}
        found = await inspected(directory, type="virtual-machine")
        assert notes(found) == ["members that can't run virtual machines: m2"]
        resources.kvm, resources.evacuated = set(), {"m2"}
        found = await inspected(directory, type="virtual-machine")
        assert "no member of the cluster can run virtual machines" in problems(found)[0]
        assert "the member m2 is evacuated" in notes(found)[0]

    told(directory, story)


def test_guests_that_are_not_reached_and_networks_that_are_not_there_are_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(fake: FakeIncus) -> None:
        (text,) = problems(await inspected(directory, network="lan"))
        assert text.endswith("has no network lan, which local.incus.network names")
        assert any("guests are reached through" in each.text for each in await inspected(directory))
        fake.resources.gateway = "224.0.0.1"  # which no connection leads to
        found = await inspected(directory, network="incusbr0")
        assert "does not answer this host" in notes(found)[0] and not problems(found)
        fake.resources.kvm = {"m1"}
        (text,) = problems(await inspected(directory, type="virtual-machine"))
        assert text.startswith("virtual machines could not be reached")
        fake.resources.gateway = "127.0.0.1"  # which refuses, and so answers
        found = await inspected(directory, type="virtual-machine", network="incusbr0")
        assert {each.level for each in found} == {Level.FINE}, found
        fake.resources.networks.clear()
        (text,) = problems(await inspected(directory))
        assert text.startswith("instances can't be connected, as the cluster has no bridge")

    monkeypatch.setattr(networks, "PROBE_SECONDS", 0.1)
    told(directory, story, members=1)


def test_instances_without_a_record_and_records_without_an_instance_are_named(
    directory: Path,
) -> None:
    async def story(fake: FakeIncus) -> None:
        api = Api(await fake.join(), directory)
        for name, daemon, of in (
            ("mine", api.membership.daemon, "mine"),
            ("lost", api.membership.daemon, "lost"),
            ("begun", api.membership.daemon, "begun"),
            ("theirs", "0" * 32, "theirs"),
            ("copy", api.membership.daemon, "mine"),
        ):
            body = {
                "name": name, "type": "container", "source": {"type": "none"},
                "config": {**owner_tag.tags(daemon, of), owner_tag.NEW: "true"},
            }  # fmt: skip
            await fake.instances.create(body, "m1")
            used = "1970-01-01T00:00:00Z" if name == "begun" else "2026-11-29T12:00:00Z"
            fake.instances.get(name).shown["last_used_at"] = used
        await api.close()
        found = await inspected(directory, known=["mine", "gone"])
        gone, lost = problems(found)
        assert gone.startswith("the cluster does not have gone any more")
        assert lost == "this service has made lost on the cluster and has no record of that"
        assert any("launches are making begun" in each for each in notes(found))
        assert not [each for each in found if "theirs" in each.text or "copy" in each.text]

    told(directory, story)


def test_foreign_descriptions_and_names_of_networks_can_be_shown(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        fake.resources.networks["lan"] = LAN | {"description": "to\x1b[2J\nall", "type": "o\x07vn"}
        fake.resources.networks["\x1b[2J"] = LAN | {"name": "\x1b[2J"}
        fake.resources.networks["none"] = LAN | {"name": None}
        async with fake.api() as api:
            read = await networks.read(api, "", 2)
        assert sorted(read.found) == ["incusbr0", "lan"]
        lan = read.found["lan"]
        assert (lan.description, lan.type) == ("to[2J all", "ovn")

    told(directory, story)


def test_a_cluster_that_hangs_holds_nothing_up(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(fake: FakeIncus) -> None:
        monkeypatch.setattr(cluster, "WHOLE_SECONDS", 0.2)
        fake.faults.append(Fault("GET /1.0/cluster/members", before=asyncio.Event().wait))
        (text,) = problems(await inspected(directory))
        assert text.startswith("the Incus cluster did not tell all within")

    told(directory, story)


def test_foreign_words_can_not_command_a_terminal(directory: Path) -> None:
    async def story(fake: FakeIncus) -> None:
        fake.resources.pools["default"]["status"] = "\x1b[2J\nCreated"
        for each in await inspected(directory):
            assert (each.text + each.cure).isprintable()

    told(directory, story)
