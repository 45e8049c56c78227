"""A virtiofsd of Debian 13, which the hosts that this project is developed on may lack."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from multipassd.mounts import virtiofsd
from tools import roots

PLACE = Path("/var/tmp/multipass-dev-virtiofsd")  # not below /tmp, which its server does not see


def environment() -> dict[str, str]:
    """With it the daemon has a virtiofsd that will do. Raises OSError."""
    if not virtiofsd.missing():
        return {}
    if not (PLACE / virtiofsd.PROGRAM.lstrip("/")).exists():
        _make()
    if PLACE.stat().st_uid != os.geteuid() or PLACE.is_symlink():
        raise OSError(f"{PLACE} is another user's")
    return {virtiofsd.ROOT: str(PLACE)}


def _make() -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise OSError("the program mmdebstrap is missing")
    words = ["--variant=extract", "--include=virtiofsd,libc6,base-files"]
    aside = PLACE.with_name(f"{PLACE.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    done = subprocess.run(
        [program, *words, roots.SUITE, str(aside), roots.MIRROR], capture_output=True, text=True
    )
    if done.returncode:
        raise OSError(done.stderr.strip().rpartition("\n")[2])
    aside.chmod(0o755)
    aside.rename(PLACE)
