"""The settings of the snap of Multipass 1.16, taken over once and left as they are.

That one keeps a file for each of its revisions, ours is one for all. The directory of ours is the
mark that this was done: neither a revert, nor a refresh, nor removing our file by hand brings an
old passphrase back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from multipassd.settings.settings import DIRECTORY_MODE, FILE_MODE
from multipassd.system.files import read_trusted, sync_directory, write_new
from multipassd.system.installation import Installation


def take_over(environ: Mapping[str, str]) -> str:
    """Safe to repeat. Returns a sentence when there are settings that could not be taken over: then
    none hold, and the next start tries again."""
    here = Installation.of(environ)
    earlier = here.earlier_settings
    if earlier is None:
        return ""
    own = Path(here.settings)
    try:
        if not own.parent.is_dir():
            _copy(Path(earlier), own)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        return f"The earlier settings in {earlier} were not taken over to {own}: {reason}."
    return ""


def _copy(earlier: Path, own: Path) -> None:
    """The directory appears with the file in it, or not at all."""
    import shutil  # slow to import, and rarely needed

    try:
        text = read_trusted(earlier)
    except FileNotFoundError:
        text = None
    parent = own.parent.parent
    parent.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
    fresh = parent / f".{own.parent.name}.{os.urandom(8).hex()}.tmp"
    try:
        fresh.mkdir(DIRECTORY_MODE)
        if text is not None:
            write_new(fresh / own.name, text.encode(), FILE_MODE)
        sync_directory(fresh)
        os.rename(fresh, own.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    sync_directory(parent)
