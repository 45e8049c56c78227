from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from multipassd.certificates import certificate_checks
from protocol import client_certificate
from protocol.client_certificate import CERTIFICATE, KEY, HalfMissing, ensure

ROOT = Path(__file__).resolve().parents[2]


def test_a_pair_is_made_private_and_then_kept(tmp_path: Path) -> None:
    certificate, key = ensure(tmp_path / "deep" / "certificates")
    pair = certificate.read_bytes(), key.read_bytes()
    assert certificate_checks.matches(*pair)
    assert key.stat().st_mode & 0o777 == 0o600
    assert certificate.parent.stat().st_mode & 0o777 == 0o700
    assert ensure(str(certificate.parent)) == (str(certificate), str(key))
    assert (certificate.read_bytes(), key.read_bytes()) == pair
    assert sorted(path.name for path in certificate.parent.iterdir()) == [CERTIFICATE, KEY]


def test_a_pair_that_is_there_is_taken_as_it_is_and_its_key_closed(tmp_path: Path) -> None:
    (tmp_path / CERTIFICATE).write_text("as it")
    (tmp_path / KEY).write_text("lies")
    (tmp_path / KEY).chmod(0o744)
    certificate, key = ensure(tmp_path)
    assert (certificate.read_text(), key.read_text()) == ("as it", "lies")
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", [CERTIFICATE, KEY])
def test_with_half_a_pair_missing_the_other_half_is_kept(tmp_path: Path, left: str) -> None:
    ensure(tmp_path)
    missing = tmp_path / ({CERTIFICATE, KEY} - {left}).pop()
    missing.unlink()
    kept = (tmp_path / left).read_bytes()
    with pytest.raises(HalfMissing) as caught:
        ensure(tmp_path)
    assert (caught.value.filename, caught.value.kept) == (str(missing), str(tmp_path / left))
    assert [path.name for path in tmp_path.iterdir()] == [left]
    assert (tmp_path / left).read_bytes() == kept


def test_a_link_to_a_key_that_is_away_is_kept(tmp_path: Path) -> None:
    (tmp_path / KEY).symlink_to(tmp_path / "unmounted" / KEY)
    with pytest.raises(HalfMissing):
        ensure(tmp_path)
    assert (tmp_path / KEY).is_symlink()
    assert not (tmp_path / CERTIFICATE).exists()


def test_a_key_whose_certificate_could_not_be_written_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def refuse(source: str, target: str) -> None:
        if target.endswith(CERTIFICATE):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="No space"):
        ensure(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_certificate_without_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        ensure(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    certificate, key = ensure(tmp_path)
    assert certificate_checks.matches(certificate.read_bytes(), key.read_bytes())


def test_programs_that_start_at_once_end_up_with_the_same_pair(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from protocol import certificates, client_certificate\n"
        "sys.stdin.readline()\n"
        "for path in client_certificate.ensure(sys.argv[2]): print(open(path).read())\n"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(tmp_path / "c")]
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    outputs = set()
    for program in programs:  # all have been started; none may go on before the line
        assert program.stdin
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        outputs.add(program.communicate(timeout=60)[0])
        assert program.returncode == 0
    assert len(outputs) == 1
    certificate, key = tmp_path / "c" / CERTIFICATE, tmp_path / "c" / KEY
    assert certificate_checks.matches(certificate.read_bytes(), key.read_bytes())


def test_looking_at_an_existing_pair_loads_no_cryptography(tmp_path: Path) -> None:
    ensure(tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from protocol import client_certificate\n"
        "client_certificate.ensure(sys.argv[2])\n"
        "print(sorted({'cryptography', 'pathlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT), str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "[]\n"
    assert client_certificate.KEY_MODE == 0o600
