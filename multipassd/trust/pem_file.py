"""One PEM file of the trust store: what was read of it last, and additions to it.

What was read is one immutable view, replaced as a whole. All files of a store share the lock that
guards the replacement, so that what is derived from several views is never older than one of them.
"""

import threading
from collections.abc import Callable, Container
from math import inf

from multipassd.trust.disk import ATTEMPTS, ChangedByOther, StoreDisk
from multipassd.trust.lock import StoreError
from multipassd.trust.state import TrustState
from multipassd.trust.view import Observer, Stamp, View


class PemFile:
    """`known`: fingerprints that were valid before; `published` is called, with the lock held,
    after the view has been replaced."""

    def __init__(
        self,
        disk: StoreDisk,
        observer: Observer,
        publishing: threading.RLock,
        known: Callable[[], Container[str]],
        published: Callable[[], None],
    ) -> None:
        self.disk = disk
        self.observer = observer
        self.view = View(
            TrustState.DAMAGED, damage="The trust store was not read yet.", inspect_again=-inf
        )
        self._publishing = publishing
        self._known = known
        self._published = published
        self._generation = 0

    def refresh(self, directory: Stamp | None = None) -> None:
        """Look whether the file changed, and read it if so. `directory`: its stamp, as of now."""
        stamp = self.observer.directory_stamp() if directory is None else directory
        if not self.observer.unchanged(self.view, stamp):
            generation = self._generation
            self._publish(self.observer.look(self._known()), generation)

    def inspect_again(self) -> View:
        """The truth on disk now; under the store's lock and in a worker thread."""
        for _ in range(ATTEMPTS):
            generation = self._generation
            if self._publish(self.observer.look(self._known()), generation):
                break
        return self.view

    def in_order(self) -> View:
        """Raises StoreError if it is DAMAGED."""
        view = self.view
        if view.state is TrustState.DAMAGED:
            raise StoreError(view.damage)
        return view

    def append(self, who: str, text: bytes, only_first: bool = False) -> bool:
        """Add a certificate, durably on return; False if it is there already, or with `only_first`
        if the file is not EMPTY. Raises OSError."""
        for attempt in range(ATTEMPTS):
            self.refresh()
            with self._publishing:
                generation, view = self._generation, self.in_order()
            if who in view.trusted:
                return attempt > 0  # an editor has kept it in the file that replaced ours
            if only_first and view.state is not TrustState.EMPTY:
                return False
            try:
                self._write(view, text)
            except (ChangedByOther, FileExistsError, FileNotFoundError):
                continue
            after = self.observer.after_append(view, who, text)
            if after is None or not self._publish(after, generation):
                self.inspect_again()
            return True
        raise StoreError("other programs keep replacing the trust store")

    def _write(self, view: View, text: bytes) -> None:
        if view.exists:
            self.disk.add(text, view.contents)
        else:
            self.disk.create(text)

    def _publish(self, view: View, generation: int) -> bool:
        """Make it the current view, unless another thread looked later than the caller did."""
        with self._publishing:
            if generation != self._generation:
                return False
            self._generation += 1
            self.view = view
            self._published()
        return True
