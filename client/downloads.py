"""Progress in bytes of the download that a launch waits for; polled during it, on terminals only.

1.16 reports a percentage only; the bytes come from a call of this project's own. If the service
does not have it, or it fails, the percentage is shown.
"""

from __future__ import annotations

import time

from client import rpc
from client.errors import StatusError
from client.render.download_line import Transfer
from client.session import IF_PRESENT
from client.terminal import console
from client.terminal.rate import Rate
from protocol import grpc
from protocol.messages.downloads import DownloadsReply, DownloadsRequest
from protocol.messages.launch import LaunchProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from client.session import Session
    from protocol.messages.downloads import Download
    from protocol.messages.launch import LaunchReply

DOWNLOADS = grpc.path("downloads", grpc.IMAGES_SERVICE)
EVERY = 1.0  # seconds between polls, and before the first one: a quick download needs none
PATIENCE = 5.0  # seconds for an answer
PHASES = (LaunchProgress.ProgressTypes.IMAGE, LaunchProgress.ProgressTypes.WAITING)


class Downloads:
    """Polls in a thread, which calls `show`. `name` is the instance's, if it is known; else the
    service's first reply contains it."""

    def __init__(
        self, session: Session, name: str, show: Callable[[Transfer | None], None]
    ) -> None:
        self._session = session
        self._name = name
        self._show = show
        self._asking: threading.Event | None = None  # set to end the thread

    def __enter__(self) -> Downloads:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def handle(self, reply: LaunchReply) -> None:
        """Poll while an image is downloaded, by this launch or another one of the same image."""
        if reply.create_message and not self._name:
            self._name = reply.create_message.rpartition(" ")[2]  # "Creating NAME"
        if reply.launch_progress is not None and reply.launch_progress.type in PHASES:
            self._begin()
        else:
            self._end()

    def _begin(self) -> None:
        if self._asking is not None or not self._name or not console.output_is_terminal():
            return
        import threading

        self._asking = threading.Event()
        # Not joined: the launch's own replies must not be delayed.
        threading.Thread(target=self._ask, args=(self._asking,), daemon=True).start()

    def _end(self) -> None:
        if self._asking is not None:
            self._asking.set()
            self._asking = None

    def _ask(self, over: threading.Event) -> None:
        # The thread may outlive the launch, and SIGCHLD of a later ssh must not be delivered to it.
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        rate = Rate()
        while not over.wait(EVERY):
            try:
                found = self._found()
            except StatusError:
                return self._show(None)  # the next call would fail alike
            except Exception:  # the launch itself reports the failure
                found = None
            self._show(_measured(found, rate) if found else None)

    def _found(self) -> Download | None:
        deadline = time.monotonic() + PATIENCE
        channel = self._session.channel(IF_PRESENT, 0, deadline, warn=_ignore)
        reply = DownloadsReply()
        for data in channel.call(DOWNLOADS, rpc.encode(DownloadsRequest())):
            reply = rpc.decode(DownloadsReply, data)
        return next(
            (download for download in reply.downloads if self._name in download.instance_name), None
        )


def _measured(download: Download, rate: Rate) -> Transfer:
    rate.add(time.monotonic(), download.fetched)
    left = rate.left(download.size - download.received) if download.size else None
    return Transfer(download.received, download.size, rate.per_second(), left)


def _ignore(warning: str) -> None:
    """Ignores warnings: the launch's own connection has shown them."""
