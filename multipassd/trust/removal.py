"""Removing a client from the trust store's file.

Its blocks are overwritten in place: that needs no room on a full disk, and leaves the file to
those who hold it open for appending. On a file system that never overwrites (copy-on-write) it
needs room all the same; there the error stands.

A power cut, or a kill between two pages of one write, may leave a part of a block old and a part
blank. What is left is no certificate: blanks are no base64, so its DER is shorter than it says
itself. It is reported as broken, or makes the store DAMAGED where nothing else is trusted; a
half-blank store is never EMPTY.

The caller holds the store's lock.
"""

import errno

from multipassd.trust import pem_text
from multipassd.trust.disk import ChangedByOther, StoreDisk

ATTEMPTS = 5  # against an editor that replaces the file again and again while we change it


def blank(disk: StoreDisk, unwanted: str) -> None:
    """Overwrite that client wherever it stands, until a fresh look no longer finds it.

    Raises OSError.
    """
    for _ in range(ATTEMPTS):
        data, status = disk.read()
        changes = pem_text.removal(data, unwanted)
        if not changes:
            return
        try:
            disk.overwrite(changes, status)
        except ChangedByOther:
            continue
    raise OSError(errno.ESTALE, "other programs keep changing the trust store")
