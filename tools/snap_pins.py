"""python -m tools.snap_pins: pin the snap's Python libraries again, in snap/requirements.txt.

Resolves requirements.txt for core24's Python, for each architecture of the snap, and writes the
version and hash of every wheel; of the libraries that PyPI has as source only, those of the source.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.sandbox import CHECKOUT

REQUIREMENTS = CHECKOUT / "requirements.txt"
PINS = CHECKOUT / "snap/requirements.txt"
SOURCES = CHECKOUT / "snap/requirements-source.txt"
PYTHON = "3.12"  # of core24, whose glibc 2.39 is newer than what these platforms want
PLATFORMS = {
    "amd64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    "arm64": ("manylinux2014_aarch64", "manylinux_2_28_aarch64"),
}
WITHOUT_WHEEL = ("sdnotify", "systemd-python")  # PyPI has them as source; they need no others
HEAD = """\
# What the snap carries beside our code: wheels alone, for CPython 3.12 or for every Python 3,
# pinned by hash, for amd64 and arm64. Written by `python -m tools.snap_pins` from requirements.txt.
"""
SOURCES_HEAD = """\
# The libraries of the snap that PyPI has as source only: built with the snap, pinned by hash.
# Written by `python -m tools.snap_pins` from requirements.txt.
"""


class PinError(Exception):
    """The message is pip's output."""


def main() -> int:
    try:
        requirements = REQUIREMENTS.read_text()
        PINS.write_text(HEAD + pinned(wanted(requirements)))
        SOURCES.write_text(SOURCES_HEAD + pinned_sources(built(requirements)))
    except PinError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    return 0


def wanted(requirements: str) -> list[str]:
    """The lines that name a library which the snap carries as a wheel."""
    return [line for line in _lines(requirements) if not line.startswith(WITHOUT_WHEEL)]


def built(requirements: str) -> list[str]:
    """The lines that name a library which is built from its source."""
    return [line for line in _lines(requirements) if line.startswith(WITHOUT_WHEEL)]


def _lines(requirements: str) -> list[str]:
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    return [line for line in lines if line]


def pinned(requirements: list[str]) -> str:
    hashes: dict[str, set[str]] = {}
    for platforms in PLATFORMS.values():
        with tempfile.TemporaryDirectory() as place:
            download(Path(place), PYTHON, platforms, *requirements)
            for wheel in Path(place).iterdir():
                name, version = wheel.name.split("-")[:2]
                _add(hashes, name, version, wheel)
    return _text(hashes)


def pinned_sources(requirements: list[str]) -> str:
    hashes: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as place:
        download_sources(Path(place), *requirements)
        for source in Path(place).iterdir():
            name, version = source.name.removesuffix(".tar.gz").rsplit("-", 1)
            _add(hashes, name, version, source)
    return _text(hashes)


def _add(hashes: dict[str, set[str]], name: str, version: str, file: Path) -> None:
    pin = f"{name.lower().replace('_', '-')}=={version}"
    hashes.setdefault(pin, set()).add(hashlib.sha256(file.read_bytes()).hexdigest())


def _text(hashes: dict[str, set[str]]) -> str:
    return "".join(
        pin + "".join(f" \\\n    --hash=sha256:{value}" for value in sorted(hashes[pin])) + "\n"
        for pin in sorted(hashes)
    )


def download(destination: Path, python: str, platforms: tuple[str, ...], *what: str) -> None:
    """Wheels for another Python than ours. Raises PinError."""
    _download(
        destination, "--only-binary=:all:", "--implementation=cp", f"--python-version={python}",
        *(f"--platform={name}" for name in platforms), *what,
    )  # fmt: skip


def download_sources(destination: Path, *what: str) -> None:
    """Sources, without what they need. Raises PinError."""
    _download(destination, "--no-binary=:all:", "--no-deps", *what)


def _download(destination: Path, *options: str) -> None:
    """By this machine's pip, which knows its way to PyPI."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            f"--dest={destination}", *options,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stdout[-2000:]
        raise PinError(f"pip could not download {' '.join(options)}:\n{said}")


if __name__ == "__main__":
    sys.exit(main())
