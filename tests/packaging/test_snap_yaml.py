"""snapcraft.yaml: sound, and said again in meta/snap.yaml without a loss."""

from typing import Any

import pytest
import yaml

from protocol.version import VERSION
from tools.deb import BuildError
from tools.sandbox import CHECKOUT
from tools.snap import SNAPCRAFT_YAML, check_schema, foreign
from tools.snap_meta import UnknownKey, snap_yaml
from tools.snap_pins import PINS, PLATFORMS, REQUIREMENTS, SOURCES, built, wanted

DAEMON = {"command": "d", "daemon": "simple", "plugs": ["network-bind"]}


def project(**more: Any) -> dict[str, Any]:
    return {
        "name": "x", "base": "core24", "version": 1.5, "summary": "s", "description": "d",
        "grade": "devel", "confinement": "strict", "platforms": {"amd64": None},
        "apps": {"d": DAEMON}, "parts": {"p": {"plugin": "nil"}}, **more,
    }  # fmt: skip


def ours() -> Any:
    return yaml.safe_load((CHECKOUT / SNAPCRAFT_YAML).read_text())


def test_an_app_is_said_again_as_it_is() -> None:
    meta = snap_yaml(project(), "amd64")
    assert meta["apps"] == {"d": DAEMON}
    assert meta["architectures"] == ["amd64"]
    assert meta["version"] == "1.5"
    assert not {"parts", "platforms"} & set(meta)


@pytest.mark.parametrize("more", [{"epoch": 1}, {"apps": {"d": {**DAEMON, "timer": "mon"}}}])
def test_a_line_that_would_be_lost_is_an_error(more: dict[str, Any]) -> None:
    with pytest.raises(UnknownKey, match="epoch|timer"):
        snap_yaml(project(**more), "amd64")


def test_an_architecture_must_be_named() -> None:
    with pytest.raises(UnknownKey, match="riscv64"):
        snap_yaml(project(), "riscv64")


def test_snapcraft_would_take_ours() -> None:
    check_schema(CHECKOUT / SNAPCRAFT_YAML)
    assert set(ours()["platforms"]) == set(PLATFORMS)


def test_snapcraft_would_refuse_a_word_that_it_does_not_know(tmp_path: Any) -> None:
    bad = tmp_path / "snapcraft.yaml"
    bad.write_text(yaml.safe_dump({**ours(), "confinment": "strict"}))
    with pytest.raises(BuildError, match="confinment"):
        check_schema(bad)


def test_ours_is_strict_and_of_the_programs_version() -> None:
    meta = snap_yaml(ours(), "amd64")
    assert (meta["confinement"], meta["base"], meta["version"]) == ("strict", "core24", VERSION)
    assert set(meta["apps"]) >= {"multipass", "multipassd", "trust"}
    assert meta["apps"]["multipassd"]["sockets"]["multipass"]["socket-mode"] == 0o666


def test_no_app_waits_for_a_plug_that_does_not_connect_by_itself() -> None:
    assert "daemon-notify" not in str(ours()["apps"])
    assert ours()["apps"]["multipassd"]["daemon"] == "simple"


def test_every_requirement_is_pinned() -> None:
    pins = {line.split("==")[0] for line in PINS.read_text().splitlines() if "==" in line}
    for line in wanted(REQUIREMENTS.read_text()):
        assert line.split()[0].lower().replace("_", "-") in pins, "run python -m tools.snap_pins"
    sources = {line.split("==")[0] for line in SOURCES.read_text().splitlines() if "==" in line}
    assert sources == {line.split()[0] for line in built(REQUIREMENTS.read_text())}
    assert not sources & pins


@pytest.mark.parametrize(
    ("name", "is_foreign"),
    [
        ("_cffi_backend.cpython-312-x86_64-linux-gnu.so", False),
        ("main.cpython-312.pyc", False),
        ("_rust.abi3.so", False),
        ("main.cpython-313.pyc", True),
        ("_cffi_backend.cpython-313-x86_64-linux-gnu.so", True),
        ("_x.cpython-39-x86_64-linux-gnu.so", True),
        ("_x.cpython-312-i386-linux-gnu.so", True),
    ],
)
def test_what_another_python_would_need_is_found(name: str, is_foreign: bool) -> None:
    assert foreign([name]) == ([name] if is_foreign else [])


def test_only_roots_program_may_read_the_journal() -> None:
    apps = ours()["apps"]
    assert [name for name in apps if "log-observe" in apps[name].get("plugs", ())] == ["trust"]


def test_the_service_sees_directories_to_mount_and_no_home() -> None:
    """`home` would give it nothing that can be served, and root's own files."""
    plugs = ours()["apps"]["multipassd"]["plugs"]
    assert "removable-media" in plugs and "home" not in plugs
