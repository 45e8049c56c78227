"""Quotas: what counts, what holds, and that commands at the same time can't exceed one together."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.instances.owners import quotas
from multipassd.instances.owners.claims import Claims
from multipassd.instances.owners.owner import Owner
from multipassd.instances.owners.quotas import Amounts, QuotaExceeded
from multipassd.instances.records.record import Record
from multipassd.settings import quotas as quota_settings
from protocol import quotas as keys
from protocol.errors import InvalidSetting, UnknownSetting
from protocol.inifile import IniFile
from protocol.roles import Role
from tools import records

ONE = Amounts(1, 1, 1 << 30, 5 << 30)


def owner(**limits: int) -> Owner:
    return Owner("bob", False, limits)


def having(*names: str) -> list[Record]:
    return [records.make(name, number) for number, name in enumerate(names)]


def test_the_last_one_that_fits_is_made_and_the_next_is_refused_with_figures() -> None:
    claims = Claims(lambda _: having("a", "b"))
    with claims.hold(owner(instances=3), ONE), pytest.raises(QuotaExceeded) as refused:
        with claims.hold(owner(instances=3), ONE):
            pass
    assert (
        "The quota of bob for instances is 3, of which 3 is used, and this needs 1."
        in refused.value.message
    )
    assert "multipass set local.quota.bob.instances=" in refused.value.message


@given(st.integers(0, 6), st.lists(st.sampled_from(keys.KINDS), max_size=30))
def test_any_order_of_commands_at_once_stays_within_the_quota(most: int, kinds: list[str]) -> None:
    claims = Claims(lambda _: [])
    bob = owner(**dict.fromkeys(keys.KINDS, most))
    with ExitStack() as held:
        for kind in kinds:
            before = claims.used("bob")
            try:
                held.enter_context(claims.hold(bob, Amounts(**{kind: 1})))
            except QuotaExceeded:
                assert getattr(before, kind) == most
                assert claims.used("bob") == before
            assert max(claims.used("bob")) <= most
    assert claims.used("bob") == Amounts()


def test_a_new_instance_counts_once_when_its_record_is_there_already() -> None:
    known: list[Record] = []
    claims = Claims(lambda _: known)
    with claims.hold(owner(), ONE, "a"):
        known += having("a")
        assert claims.used("bob") == ONE
    assert claims.used("bob") == quotas.of_record(known[0])


def test_what_becomes_known_later_is_checked_then() -> None:
    claims = Claims(lambda _: [])
    with claims.hold(owner(disk=6 << 30), ONE, "a") as claim:
        with pytest.raises(QuotaExceeded, match=r"disk space is 6GiB.*needs 7GiB"):
            claim.change(ONE._replace(disk=7 << 30))
        claim.change(ONE._replace(disk=6 << 30))
        assert claims.used("bob").disk == 6 << 30


def test_who_is_over_a_quota_already_keeps_what_is_there_and_may_shrink_it() -> None:
    used = Amounts(instances=9)
    quotas.check(owner(instances=3), used, Amounts(cpus=1))
    with pytest.raises(QuotaExceeded):
        quotas.check(owner(instances=3), used, Amounts(instances=1))


def test_a_persons_limit_goes_before_its_roles_and_that_before_the_default() -> None:
    set_ = {"local.quota.user.cpus": 4, "local.quota.bob.cpus": 8, "local.quota.bob.disk": None}
    assert quotas.limits_of("bob", Role.USER, set_)["cpus"] == 8
    assert "disk" not in quotas.limits_of("bob", Role.USER, set_)
    carols = quotas.limits_of("carol", Role.USER, set_)
    assert (carols["cpus"], carols["instances"]) == (4, keys.OF_USERS["instances"])
    assert quotas.limits_of("alice", Role.ADMIN, set_) == {}
    assert quotas.limits_of("dave", Role.VIEWER, {})["instances"] == 0


def test_a_user_with_the_name_of_a_role_gets_no_quota_of_that_role() -> None:
    set_ = {"local.quota.admin.cpus": None, "local.quota.user.cpus": 2}
    assert quotas.limits_of("admin", Role.USER, set_)["cpus"] == 2


def test_host_networks_are_closed_to_users_until_they_are_allowed() -> None:
    assert quotas.limits_of("bob", Role.USER, {})["networks"] == 0
    with pytest.raises(QuotaExceeded, match="cards on networks of the host is 0"):
        bob = Owner("bob", False, quotas.limits_of("bob", Role.USER, {}))
        quotas.check(bob, Amounts(), Amounts(1, networks=1))


@pytest.mark.parametrize(
    ("key", "value", "stored"),
    [
        ("local.quota.user.instances", "3", "3"),
        ("local.quota.user.memory", "2048M", "2GiB"),
        ("local.quota.user.memory", "33333M", "33333MiB"),
        ("local.quota.user.disk", "1234567", "1234567B"),
        ("local.quota.user.disk", "0", "0GiB"),
        ("local.quota.bob.disk", "Unlimited", "unlimited"),
        ("local.quota.a.b.cpus", "0", "0"),
        ("local.quota.bob.cpus", "", ""),
    ],
)
def test_a_limit_is_stored_as_it_is_read_again(key: str, value: str, stored: str) -> None:
    assert quota_settings.checked(key, value) == stored
    ini = IniFile.parse("")
    ini.set(key, stored)
    limits, wrong = quota_settings.read(ini)
    assert not wrong and quota_settings.show(key, limits) == (stored or "")


@pytest.mark.parametrize("value", ["-1", "many", "1.5", "９", "1" * 40, "\x1b[2J"])
def test_a_limit_that_is_none_is_refused_and_in_the_file_allows_nothing(value: str) -> None:
    with pytest.raises(InvalidSetting):
        quota_settings.checked("local.quota.user.cpus", value)
    ini = IniFile.parse("")
    ini.set("local.quota.user.cpus", value)
    limits, wrong = quota_settings.read(ini)
    assert (
        limits == {"local.quota.user.cpus": 0} and "counts as 0" in wrong["local.quota.user.cpus"]
    )


@pytest.mark.parametrize("who", ["Bob", "b\nob", "", "ｂob"])
def test_a_quota_is_of_a_role_or_of_a_name_that_a_client_can_have(who: str) -> None:
    with pytest.raises(UnknownSetting):
        quota_settings.checked(f"local.quota.{who}.cpus", "1")
