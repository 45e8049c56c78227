"""A directory of images in the layout of Ubuntu's servers, with the streams that list them."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}
PATHS = {
    "release": "releases",
    "daily": "daily",
    "snapcraft": "buildd/daily",
    "appliance": "ubuntu-core/appliances",
    "core": "ubuntu-core",
}
ENDINGS = {"squashfs": ".squashfs", "root.tar.xz": "-root.tar.xz"}  # by item
STREAM = "streams/v1/com.ubuntu.cloud:released:download.json"


@dataclass(frozen=True)
class Release:
    """One product of a stream; the defaults are those of an LTS."""

    version: str = "24.04"
    name: str = "noble"
    title: str = "24.04 LTS"
    codename: str = "Noble Numbat"
    aliases: str = "24.04,default,lts,n,noble"
    supported: bool = True


NOBLE = Release()
JAMMY = Release("22.04", "jammy", "22.04 LTS", "Jammy Jellyfish", "22.04,j,jammy")
MANTIC = Release("23.10", "mantic", "23.10", "Mantic Minotaur", "23.10,m,mantic", supported=False)


def architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


class ImageTree:
    """`publish` adds a file and lists it; all state is on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for remote, path in PATHS.items():
            if remote != "core" and not self._stream(remote).exists():
                self._write(remote, {"products": {}})
                self._index(path)

    def publish(
        self,
        image: Path,
        remote: str = "release",
        release: Release = NOBLE,
        version: str = "20260815",
        item: str = "disk1.img",
    ) -> str:
        """The image's SHA-256, which is its id; its path is what `path_of` says."""
        path = self.path_of(release, version, item)
        target = self.root / PATHS[remote] / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, target)
        with image.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        entry = {
            "ftype": item,
            "path": path,
            "sha256": digest,
            "size": image.stat().st_size,
        }
        stream = self.stream(remote)
        key = f"com.ubuntu.cloud:server:{release.version}:{architecture()}"
        product = stream["products"].setdefault(
            key,
            {
                "arch": architecture(),
                "os": "ubuntu",
                "release": release.name,
                "release_title": release.title,
                "release_codename": release.codename,
                "version": release.version,
                "versions": {},
            },
        )
        product |= {"aliases": release.aliases, "supported": release.supported}
        product["versions"].setdefault(version, {"items": {}})["items"][item] = entry
        self._write(remote, stream)
        return digest

    @staticmethod
    def path_of(
        release: Release = NOBLE, version: str = "20260815", item: str = "disk1.img"
    ) -> str:
        """The image's path below the remote's base."""
        ending = ENDINGS.get(item, ".img")
        file = f"ubuntu-{release.version}-server-cloudimg-{architecture()}{ending}"
        return f"server/releases/{release.name}/release-{version}/{file}"

    def publish_core(self, image: Path, version: str = "24") -> str:
        name = f"ubuntu-core-{version}-amd64.img.xz"
        directory = self.root / PATHS["core"] / version / "stable/current"
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, directory / name)
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        (directory / "SHA256SUMS").write_text(f"{digest} *{name}\n", encoding="ascii")
        return digest

    def stream(self, remote: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._stream(remote).read_bytes())
        return loaded

    def rewrite(self, remote: str, stream: dict[str, Any]) -> None:
        """Change a listed value, for tests of wrong lists."""
        self._write(remote, stream)

    def _stream(self, remote: str) -> Path:
        return self.root / PATHS[remote] / STREAM

    def _write(self, remote: str, stream: dict[str, Any]) -> None:
        path = self._stream(remote)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = {"format": "products:1.0", "datatype": "image-downloads", **stream}
        path.write_text(json.dumps(stream, indent=1), encoding="utf-8")

    def _index(self, path: str) -> None:
        entry = {"datatype": "image-downloads", "format": "products:1.0", "path": STREAM}
        other = {"datatype": "image-ids", "format": "products:1.0", "path": "streams/v1/ids.json"}
        index = {"format": "index:1.0", "index": {"com.ubuntu.cloud:aws": other, "images": entry}}
        place = self.root / path / "streams/v1/index.json"
        place.write_text(json.dumps(index, indent=1), encoding="utf-8")
