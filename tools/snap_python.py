"""Copy a CPython 3.12 into a Debian 13 root: core24 has 3.12, Debian 13 only a newer one.

Neither Debian nor PyPI has it, so an installed one of this machine is copied: the prefix that
MULTIPASS_DEV_PYTHON312 names, else that of python3.12 on PATH, else pyenv's newest.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tools.roots import RootError

NAME = "python3.12"
# What a build of CPython for /usr needs of the root; part of every Ubuntu.
LIBRARIES = (
    "libbz2-1.0", "libffi8", "liblzma5", "libsqlite3-0", "libssl3t64", "libuuid1", "zlib1g",
)  # fmt: skip
LEFT_OUT = (
    "__pycache__", "config-3.12-*", "ensurepip", "idlelib", "lib2to3", "site-packages", "test",
    "tkinter", "turtledemo",
)  # fmt: skip
IMPORTS = "import bz2, ctypes, hashlib, lzma, sqlite3, ssl, sys, zlib; print(sys.prefix)"


def prefix() -> Path:
    """Where this machine's CPython 3.12 is installed. Raises RootError."""
    named = os.environ.get("MULTIPASS_DEV_PYTHON312")
    for prefix in [Path(named)] if named else _candidates():
        if (prefix / "bin" / NAME).exists() and (prefix / "lib" / NAME / "os.py").exists():
            return prefix
    raise RootError(
        "the snap needs CPython 3.12, as core24 has; neither Debian 13 nor this machine has one: "
        "install one (pyenv install 3.12), or name its prefix in MULTIPASS_DEV_PYTHON312"
    )


def _candidates() -> list[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    versions = sorted(pyenv.glob("3.12.*"), key=lambda path: int(path.name.split(".")[2]))
    on_path = shutil.which(NAME)
    # pyenv's shims are scripts; the programs are among its versions.
    real = [Path(on_path).resolve().parent.parent] if on_path and "shims" not in on_path else []
    return [*real, *reversed(versions)]


def version(of: Path) -> str:
    done = subprocess.run(
        [of / "bin" / NAME, "-I", "-c", "import platform; print(platform.python_version())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def install(root: Path, *, to_build: bool = False) -> None:
    """Put it below /usr of the root, as Ubuntu has it; `to_build` also brings pip and C headers."""
    source = prefix()
    library = root / "usr/lib" / NAME
    shutil.copytree(
        source / "lib" / NAME, library, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT)
    )
    shutil.copy2((source / "bin" / NAME).resolve(), root / "usr/bin" / NAME)
    for shared in (source / "lib").glob("libpython3.12.so*"):
        shutil.copy2(shared, root / "usr/lib" / shared.name, follow_symlinks=False)
    (library / "site-packages").mkdir()
    if to_build:
        headers = Path("include") / NAME
        shutil.copytree(source / headers, root / "usr" / headers)
        pip = source / "lib" / NAME / "site-packages/pip"
        if not pip.is_dir():
            raise RootError(f"{source} has no pip: {NAME} -m ensurepip makes one there")
        shutil.copytree(pip, library / "site-packages/pip")
