"""The places of an installed snap, in a sandbox, with a stand-in for snapd's `snapctl`.

snapd itself is asked in tests/packaging.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tools.sandbox import CHECKOUT

SNAPCTL = """#!/bin/sh
echo "$*" >> "$SNAP_SANDBOX/snapctl.log"
case "$1" in
get) cat "$SNAP_SANDBOX/set.json" ;;
services) printf 'Service  Startup  Current  Notes\\nmultipass.multipassd  enabled  %s  -\\n' \
    "$(cat "$SNAP_SANDBOX/current")" ;;
esac
"""


class Snap:
    def __init__(self, root: Path, revision: str = "x1", tree: Path = CHECKOUT) -> None:
        self.root = root
        self.tree = tree
        self.common = root / "common"
        self.data = root / revision
        for path in (self.common, self.data, root / "bin", root / "snap/lib"):
            path.mkdir(parents=True, exist_ok=True)
        self.environ = {
            "PATH": f"{root}/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(root),
            "SNAP": str(root / "snap"),
            "SNAP_NAME": "multipass",
            "SNAP_COMMON": str(self.common),
            "SNAP_DATA": str(self.data),
            "SNAP_SANDBOX": str(root),
        }
        program = root / "snap/lib/multipass"
        if not program.exists():
            program.symlink_to(tree)
            (root / "bin/snapctl").write_text(SNAPCTL)
            (root / "bin/snapctl").chmod(0o755)
            self.is_set()
            self.service("inactive")

    @property
    def socket(self) -> Path:
        return self.common / "multipass_socket"

    @property
    def store(self) -> Path:
        return self.common / "data/multipassd/authenticated-certs/multipass_client_certs.pem"

    @property
    def settings(self) -> Path:
        return self.common / "config/multipassd/multipassd.conf"

    @property
    def earlier_settings(self) -> Path:
        return self.data / "config/multipassd/multipassd.conf"

    @property
    def options(self) -> Path:
        return self.data / "options.json"

    def is_set(self, **options: object) -> None:
        """As by `snap set`; `_` stands for `-`."""
        given = {key.replace("_", "-"): value for key, value in options.items()}
        (self.root / "set.json").write_text(json.dumps(given))

    def service(self, current: str) -> None:
        (self.root / "current").write_text(current)

    def hook(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CHECKOUT / "snap/hooks" / name],
            env=self.environ,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def asked(self) -> list[str]:
        """What snapctl was asked for, apart from reading."""
        log = self.root / "snapctl.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.startswith(("get ", "services "))]


def earlier(snap: Snap, text: str) -> None:
    """Settings as 1.16 leaves them."""
    snap.earlier_settings.parent.mkdir(parents=True, exist_ok=True)
    snap.earlier_settings.write_text(text)
    os.chmod(snap.earlier_settings, 0o600)
