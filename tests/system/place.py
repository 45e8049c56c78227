"""A copy of the project that every user can read; the checkout may lie where others can't go."""

import compileall
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from tools.sandbox import CHECKOUT

PROGRAMS = ("bin", "protocol", "client", "multipassd")


def make() -> Path:
    """The copy's directory; bin/multipass and bin/multipassd run from it."""
    copy = Path(tempfile.mkdtemp(prefix="multipass-copy-", dir="/tmp"))
    for name in PROGRAMS:
        shutil.copytree(CHECKOUT / name, copy / name)
        compileall.compile_dir(copy / name, quiet=2)
    _link_libraries(copy)
    _open(copy)
    return copy


def _link_libraries(copy: Path) -> None:
    """Where the launchers look for them. Hard links where possible: it is many megabytes."""
    source = Path(sysconfig.get_paths()["purelib"])
    libraries = copy / ".venv" / "lib" / source.parent.name
    libraries.mkdir(parents=True)
    command = ["cp", "-a", "--link", str(source), str(libraries / "site-packages")]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        shutil.rmtree(libraries / "site-packages", ignore_errors=True)
        command.remove("--link")
        subprocess.run(command, check=True)


def _open(copy: Path) -> None:
    """For all to read. Not the libraries: their files may be the originals."""
    for name in (".", ".venv", ".venv/lib", *PROGRAMS):
        top = copy / name
        top.chmod(0o755)
        if name in PROGRAMS:
            for directory, _, files in os.walk(top):
                Path(directory).chmod(0o755)
                for file in files:
                    (Path(directory) / file).chmod(0o755 if name == "bin" else 0o644)
