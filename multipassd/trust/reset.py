"""Put a DAMAGED trust store aside as a whole, so that an EMPTY one begins in its place.

The caller holds the store's lock, and has rights that the daemon lacks, which can write to these
directories: all is done on open directories, and no symbolic link is followed to change an owner or
a mode.
"""

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def tighten(directory: Path) -> None:
    """Give the directory to root, if root does this, and mode 0700. Raises OSError; ELOOP where it,
    or the directory above it, is a symbolic link."""
    try:
        with (
            _opened(directory.parent, os.O_NOFOLLOW) as parent,
            _opened(directory.name, os.O_NOFOLLOW, parent) as descriptor,
        ):
            if os.geteuid() == 0:
                os.fchown(descriptor, 0, 0)
            os.fchmod(descriptor, 0o700)
    except NotADirectoryError:
        raise OSError(
            errno.ELOOP,
            f"{directory}, or the directory above it, is a symbolic link, so its owner and mode "
            "are left as they are; set them by hand (root, 0700), then try again",
        ) from None


def set_aside(store: Path, files: Sequence[Path]) -> Path:
    """Move the files of a store's directory into a new one in it; returns that. Raises OSError.

    In their order. The side file goes last: without it, and only then, a missing store is EMPTY.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept = store.joinpath(f"damaged-{stamp}-{time.monotonic_ns():x}")
    with _opened(store) as directory:
        os.mkdir(kept.name, 0o700, dir_fd=directory)
        with _opened(kept.name, os.O_NOFOLLOW, directory) as target:
            for name in (path.name for path in files):
                try:
                    os.rename(name, name, src_dir_fd=directory, dst_dir_fd=target)
                except FileNotFoundError:
                    pass  # it may be what was missing; most stores have no viewers
            os.fsync(target)
        os.fsync(directory)
    return kept


@contextmanager
def _opened(path: str | Path, flags: int = 0, directory: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, DIRECTORY_FLAGS | flags, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
