"""python -m tools.snap_pins: pin anew what the snap carries, in snap/requirements.txt.

Resolves requirements.txt for core24's Python by wheels alone, for each architecture of the snap,
and writes every wheel's version and hash.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.sandbox import CHECKOUT

REQUIREMENTS = CHECKOUT / "requirements.txt"
PINS = CHECKOUT / "snap/requirements.txt"
PYTHON = "3.12"  # of core24, whose glibc 2.39 is newer than what these platforms want
PLATFORMS = {
    "amd64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    "arm64": ("manylinux2014_aarch64", "manylinux_2_28_aarch64"),
}
WITHOUT_WHEEL = ("systemd-python",)  # multipassd/system/activation.py and journal.py do without it
HEAD = """\
# What the snap carries beside our code: wheels alone, for CPython 3.12 or for every Python 3,
# pinned by hash, for amd64 and arm64. Written by `python -m tools.snap_pins` from requirements.txt.
"""


class PinError(Exception):
    """The text is what pip said."""


def main() -> int:
    try:
        PINS.write_text(HEAD + pinned(wanted(REQUIREMENTS.read_text())))
    except PinError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    return 0


def wanted(requirements: str) -> list[str]:
    """The lines that name a library which the snap carries."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    return [line for line in lines if line and not line.startswith(WITHOUT_WHEEL)]


def pinned(requirements: list[str]) -> str:
    hashes: dict[str, set[str]] = {}
    for platforms in PLATFORMS.values():
        with tempfile.TemporaryDirectory() as place:
            download(Path(place), PYTHON, platforms, *requirements)
            for wheel in Path(place).iterdir():
                name, version = wheel.name.split("-")[:2]
                found = hashlib.sha256(wheel.read_bytes()).hexdigest()
                hashes.setdefault(f"{name.lower().replace('_', '-')}=={version}", set()).add(found)
    return "".join(
        pin + "".join(f" \\\n    --hash=sha256:{value}" for value in sorted(hashes[pin])) + "\n"
        for pin in sorted(hashes)
    )


def download(destination: Path, python: str, platforms: tuple[str, ...], *what: str) -> None:
    """Wheels for another Python than ours; by this machine's pip, which knows its way to PyPI.
    Raises PinError."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--only-binary=:all:", "--implementation=cp", f"--python-version={python}",
            *(f"--platform={name}" for name in platforms), f"--dest={destination}", *what,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stdout[-2000:]
        raise PinError(f"pip could not fetch wheels for Python {python}:\n{said}")


if __name__ == "__main__":
    sys.exit(main())
