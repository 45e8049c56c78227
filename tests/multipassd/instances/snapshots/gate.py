"""A stand-in for qemu-img that holds a change of snapshots before or behind the real one's work."""

from __future__ import annotations

import shutil
from pathlib import Path

STAND_IN = """#!/bin/sh
wait_here() {
    [ "$(cat '{place}/hold' 2>/dev/null)" = "$1" ] || return 0
    touch '{place}/held'
    until [ -e '{place}/release' ]; do sleep 0.05; done
}
case "$1 $2 $3" in
"snapshot -q -"*) ;;
*) exec '{real}' "$@" ;;
esac
number=1
until mkdir "{place}/$number" 2>/dev/null; do number=$((number + 1)); done
wait_here "before-$number"
'{real}' "$@" || exit
wait_here "after-$number"
"""


class Gate:
    """Where the next change is to be held."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.chmod(0o777)  # qemu-img's user notes there how far it is
        real = shutil.which("qemu-img")
        script = place / "qemu-img"
        script.write_text(STAND_IN.replace("{place}", str(place)).replace("{real}", str(real)))
        script.chmod(0o755)

    def set(self, where: str) -> None:
        for path in self.place.iterdir():
            if path.is_dir():
                path.rmdir()
        (self.place / "held").unlink(missing_ok=True)
        (self.place / "hold").write_text(where)

    def held(self) -> bool:
        return (self.place / "held").exists()

    def release(self) -> None:
        """Let what is held go on."""
        (self.place / "release").touch()
