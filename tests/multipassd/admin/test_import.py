from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from multipassd.auth import passphrase
from multipassd.settings.settings import Settings
from tests.multipassd.admin.trust import Trust, client, snapshot

SECRET = "open sesame"
STORE = "authenticated-certs/multipass_client_certs.pem"
CONF = "multipassd/multipassd.conf"

# Where 1.16 has data and settings below a root, and what may be named for DIR.
SNAP = ("common/data/multipassd", "current/config", (".", "common", "common/data/multipassd"))
SOURCE = (".local/share/multipassd", ".config", (".", ".local/share/multipassd"))
STORAGE = ("data", ".", (".",))
CASES = [(data, conf, named) for data, conf, names in (SNAP, SOURCE, STORAGE) for named in names]


def unsalted() -> str:
    """The record that 1.16 keeps."""
    return hashlib.scrypt(SECRET.encode(), salt=b"", n=16384, r=8, p=1, dklen=64).hex()


def install(root: Path, data: str, conf: str) -> list[str]:
    """A made-up installation of 1.16; the fingerprints that it trusts."""
    pairs = [client(), client()]
    store, settings = root / data / STORE, root / conf / CONF
    store.parent.mkdir(parents=True)
    settings.parent.mkdir(parents=True, exist_ok=True)
    store.write_bytes(b"".join(pair.certificate for pair, _ in pairs))
    settings.write_text(
        "[General]\n"
        f"local.passphrase={unsalted()}\n"
        "local.bridged-network=eth0\n"
        "local.privileged-mounts=false\n",
        encoding="ascii",
    )
    store.chmod(0o644)
    settings.chmod(0o600)
    return [who for _, who in pairs]


def trusted(trust: Trust) -> dict[str, str]:
    clients = json.loads(trust.done("list", "--format", "json"))["clients"]
    return {each["fingerprint"]: each["how"] for each in clients}


@pytest.mark.parametrize(("data", "conf", "named"), CASES)
def test_clients_settings_and_passphrase_are_taken_over_and_nothing_changes_there(
    trust: Trust, tmp_path: Path, data: str, conf: str, named: str
) -> None:
    root = tmp_path / "multipass"
    clients = install(root, data, conf)
    before = snapshot(root)
    said = trust.done("import", root / named)
    assert snapshot(root) == before
    assert trusted(trust) == dict.fromkeys(clients, "import")
    settings = Settings(trust.sandbox.settings_path)
    assert settings.get("local.bridged-network") == "eth0"
    assert settings.get("local.privileged-mounts") == "false"
    assert passphrase.verify(SECRET, settings.passphrase_record())
    assert unsalted() not in said


def test_a_dry_run_takes_nothing_over_and_a_second_run_changes_nothing(
    trust: Trust, tmp_path: Path
) -> None:
    install(tmp_path, "data", ".")
    said = trust.done("import", tmp_path, "--dry-run")
    assert "Would do: Take over the passphrase" in said and unsalted() not in said
    assert not trust.data.exists() and not trust.sandbox.settings_path.exists()
    trust.done("import", tmp_path)
    store, settings = trust.store.read_bytes(), trust.sandbox.settings_path.read_bytes()
    trust.done("import", tmp_path)
    assert trust.store.read_bytes() == store
    assert trust.sandbox.settings_path.read_bytes() == settings


def test_what_is_set_here_stays(trust: Trust, tmp_path: Path) -> None:
    install(tmp_path, "data", ".")
    Settings(trust.sandbox.settings_path).set("local.passphrase", "another")
    assert "Kept what is set here, instead of the passphrase" in trust.done("import", tmp_path)
    assert passphrase.verify("another", Settings(trust.sandbox.settings_path).passphrase_record())


def test_settings_from_elsewhere_are_named(trust: Trust, tmp_path: Path) -> None:
    install(tmp_path, "old/data", "elsewhere")
    conf = tmp_path / "elsewhere" / CONF
    trust.done("import", tmp_path / "old", "--settings", conf)
    assert Settings(trust.sandbox.settings_path).passphrase_record()


def test_nothing_to_import_is_an_error(trust: Trust, tmp_path: Path) -> None:
    assert "holds neither" in trust.refused("import", tmp_path)
    assert "holds neither" in trust.refused("import", tmp_path / "absent")


def test_a_store_that_others_could_have_written_is_refused(trust: Trust, tmp_path: Path) -> None:
    install(tmp_path, "data", ".")
    (tmp_path / "data" / STORE).chmod(0o666)
    assert "others may write to it" in trust.refused("import", tmp_path)
    assert not trust.store.exists() and not trust.sandbox.settings_path.exists()


def test_settings_that_others_could_have_written_are_refused_before_anything_is_taken(
    trust: Trust, tmp_path: Path
) -> None:
    install(tmp_path, "data", ".")
    (tmp_path / CONF).chmod(0o666)
    assert "Nothing was changed" in trust.refused("import", tmp_path)
    assert not trust.store.exists()


def test_the_own_installation_is_not_imported(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    assert "this very installation" in trust.refused("import", trust.data)


@pytest.mark.parametrize(
    ("kept", "said", "count"),
    [
        (slice(0, 0), "could be read: it is empty.", 0),
        (slice(0, 100), "could be read: line 1: a certificate that is cut off.", 0),
        (slice(0, -100), "a certificate that is cut off.", 1),
        (slice(100, None), "the end of a block that has no beginning.", 1),
    ],
)
def test_what_of_an_empty_or_cut_store_could_not_be_read_is_told(
    trust: Trust, tmp_path: Path, kept: slice, said: str, count: int
) -> None:
    install(tmp_path, "data", ".")
    store = tmp_path / "data" / STORE
    store.write_bytes(store.read_bytes()[kept])
    found = trust.done("import", tmp_path)
    assert f"Not everything in {store} " in found and said in found, found
    assert len(trusted(trust)) == count
