"""One object tells a deb, a snap and a checkout apart, and what follows from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multipassd.system import installation
from multipassd.system.installation import DEB_TREE, Installation, Kind

SNAP = {"SNAP_NAME": "multipass", "SNAP": "/snap/multipass/7"}


def test_the_tree_and_the_environment_tell_which_installation_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Installation.of({}).kind is Kind.CHECKOUT
    assert Installation.of({"SNAP_NAME": "other"}).kind is Kind.CHECKOUT
    assert Installation.of(SNAP).kind is Kind.SNAP
    monkeypatch.setattr(installation, "TREE", DEB_TREE)
    assert Installation.of({}).kind is Kind.DEB


def test_the_environment_of_the_unit_places_the_debs_files() -> None:
    unit = Installation({"MULTIPASS_STORAGE": "/var/lib/multipassd", "DAEMON_CONFIG_HOME": "/etc"})
    assert unit.data == "/var/lib/multipassd/data"
    assert unit.storage == "/var/lib/multipassd"
    assert unit.settings == "/etc/multipassd/multipassd.conf"
    assert unit.root_certificate == "/var/lib/multipassd/multipass_root_cert.pem"
    assert (unit.earlier_settings, unit.options, unit.bundle) == (None, None, "")


def test_without_that_the_files_lie_where_1_16_built_from_source_has_them() -> None:
    by_hand = Installation.of({"HOME": "/home/a"})
    assert by_hand.data == by_hand.storage == "/home/a/.local/share/multipassd"
    assert by_hand.settings == "/home/a/.config/multipassd/multipassd.conf"
    assert by_hand.root_certificate == "/usr/local/etc/multipassd/multipass_root_cert.pem"


def test_the_snap_keeps_what_is_shared_apart_from_what_a_revert_restores() -> None:
    snap = Installation.of(SNAP)
    assert snap.data == "/var/snap/multipass/common/data/multipassd"
    assert snap.storage == "/var/snap/multipass/common"
    assert snap.settings == "/var/snap/multipass/common/config/multipassd/multipassd.conf"
    assert snap.options == "/var/snap/multipass/current/options.json"
    assert snap.earlier_settings == "/var/snap/multipass/current/config/multipassd/multipassd.conf"
    assert snap.root_certificate == f"{snap.data}/multipass_root_cert.pem"
    assert snap.bundle == "/snap/multipass/7"
    assert snap.confined
    assert not snap.has_units
    assert "/" not in snap.mount_places


def test_every_program_is_found_in_the_tree() -> None:
    for path in Path(installation.TREE, "bin").iterdir():
        assert os.access(installation.program(path.name), os.X_OK)
