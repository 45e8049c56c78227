"""What snapd runs at the snap's milestones: one function a hook, all of them in one table.

A hook that fails undoes the change that it belongs to, so each fails only where going on would do
harm. No hook enrols a client, and none touches what Multipass 1.16 keeps of instances and images.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from multipassd import driver_choice
from multipassd.instances.records import running_markers
from multipassd.snap import options as snap_options
from multipassd.snap import refresh_note, snapctl
from multipassd.snap.snapctl import HookFailed
from multipassd.snap.takeover import take_over
from multipassd.system.installation import Installation
from multipassd.trust.state import TrustState

Environ = Mapping[str, str]
Hook = Callable[[Environ], None]  # is handed the environment; raises HookFailed

POWER_DOWN_SECONDS = 60.0  # then instances are switched off; snapd waits for ten minutes
CONNECT_SECONDS = 1.0  # to a socket of systemd's, which always accepts


def install(environ: Environ) -> None:
    """A fresh installation has no earlier settings, and no later revision is to find any."""
    _take_over(environ)


def configure(environ: Environ) -> None:
    """`snap set multipass KEY=VALUE`; also at the end of each installation and refresh.

    A failure changes nothing: snapd then restores what was set before.
    """
    try:
        wanted = snap_options.checked(snapctl.options(snap_options.CHECKS))
    except snap_options.OptionError as error:
        raise HookFailed(str(error)) from None
    saved = None
    with suppress(snap_options.OptionError):  # a damaged file is written anew
        saved = snap_options.load(environ)
    if wanted == saved:
        return
    _save(wanted, environ)
    try:
        if snapctl.service_is_active():
            snapctl.restart_service()
        else:
            wake(environ)
    except HookFailed:
        if saved is not None:
            _save(saved, environ)  # the next start must use what snapd restores
        raise


def pre_refresh(environ: Environ) -> None:
    """Run by the old revision, before its service is stopped: notes the trust store's state."""
    refresh_note.write(environ)


def post_refresh(environ: Environ) -> None:
    """Run by the new revision, before its service starts: takes over the settings of 1.16.

    A revision that can't read the trust store which the old one could read would lock all clients
    out, so it refuses itself.
    """
    if refresh_note.take(environ) == TrustState.TRUSTING.name:
        state, why = refresh_note.state(environ)
        if state is TrustState.DAMAGED:
            raise HookFailed(f"This version can't use the list of trusted clients: {why}")
    _take_over(environ)


def remove(environ: Environ) -> None:
    """Power instances down: they would run on without their snap, and their disks are about to be
    saved. snapd itself stops the service and keeps or purges the data."""
    asyncio.run(driver_choice.power_down(environ, POWER_DOWN_SECONDS))


def restart(environ: Environ) -> None:
    """A plug was connected or disconnected: what a process may do is fixed when it starts."""
    if snapctl.service_is_active():
        snapctl.restart_service()


def wake(environ: Environ) -> None:
    """Start the service where it listens on TCP, or where instances ran before the host went down.

    systemd holds the Unix socket alone, so without a caller there nothing would be served or
    started after a boot. The connection sends nothing, so it enrols no client.
    """
    with suppress(OSError):
        if _serves_tcp(environ) or _had_instances(environ):
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(CONNECT_SECONDS)
                caller.connect(Installation.of(environ).socket)


HOOKS: dict[str, Hook] = {
    "install": install,
    "configure": configure,
    "pre-refresh": pre_refresh,
    "post-refresh": post_refresh,
    "remove": remove,
    "connect-plug-multipass-support": restart,
    "disconnect-plug-multipass-support": restart,
    "connect-plug-kvm": restart,
    "disconnect-plug-kvm": restart,
    "wake": wake,  # no hook of snapd's: an app that runs once at each boot
}


def _take_over(environ: Environ) -> None:
    if problem := take_over(environ):
        print(problem, file=sys.stderr)  # the service tries again at its start


def _save(options: snap_options.Options, environ: Environ) -> None:
    try:
        snap_options.save(options, environ)
    except OSError as error:
        raise HookFailed(f"The setting could not be saved: {error.strerror or error}.") from None


def _serves_tcp(environ: Environ) -> bool:
    with suppress(snap_options.OptionError):
        return "address" in snap_options.load(environ)
    return False


def _had_instances(environ: Environ) -> bool:
    running = Path(Installation.of(environ).data) / running_markers.DIRECTORY
    return running.is_dir() and any(running.iterdir())
