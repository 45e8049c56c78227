"""Small root file systems for tests of containers' images: as a tar archive, and as a squashfs."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

FILES = {
    "etc/os-release": b"ID=tiny\n",
    "usr/bin/tool": b"#!/bin/sh\n" + bytes(range(256)) * 4096,
    "var/empty": b"",
}
METADATA = b"architecture: x86_64\ncreation_date: 1\n"


def make_tar(path: Path, files: Mapping[str, bytes] = FILES, prefix: str = "") -> Path:
    """Uncompressed; with `prefix` in front of each path."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            _add(tar, prefix + name, data)
    return path


def make_unified(path: Path, metadata: bytes = METADATA, **more: bytes) -> Path:
    """As `incus image export` writes it, but uncompressed; `more` are files beside the root."""
    with tarfile.open(path, "w") as tar:
        for name, data in {"metadata.yaml": metadata, **more}.items():
            _add(tar, name, data)
        for name, data in FILES.items():
            _add(tar, f"rootfs/{name}", data)
    return path


def make_squashfs(path: Path, directory: Path) -> Path:
    """Of all that is in a directory; needs mksquashfs of squashfs-tools."""
    command = ["mksquashfs", str(directory), str(path), "-noappend", "-quiet", "-no-progress",
               "-comp", "gzip", "-no-xattrs", "-all-root"]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    tar.addfile(info, io.BytesIO(data))
