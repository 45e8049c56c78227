"""configure: `snap set multipass KEY=VALUE`; also at the end of each installation and refresh."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from multipassd.snap import options as snap_options
from multipassd.snap import snapctl, wake
from multipassd.snap.hook import HookFailed


def run(environ: Mapping[str, str]) -> None:
    """What fails changes nothing: snapd then puts back what was set before."""
    try:
        wanted = snap_options.checked(snapctl.options(snap_options.CHECKS))
    except snap_options.OptionError as error:
        raise HookFailed(str(error)) from None
    kept = None
    with suppress(snap_options.OptionError):  # a damaged file is written anew
        kept = snap_options.load(environ)
    if wanted == kept:
        return
    _save(wanted, environ)
    try:
        _use(environ)
    except HookFailed:
        if kept is not None:
            _save(kept, environ)  # the next start is to use what snapd puts back, too
        raise


def _save(options: snap_options.Options, environ: Mapping[str, str]) -> None:
    try:
        snap_options.save(options, environ)
    except OSError as error:
        raise HookFailed(f"The setting could not be kept: {error.strerror or error}.") from None


def _use(environ: Mapping[str, str]) -> None:
    if snapctl.service_is_active():
        snapctl.restart_service()
    else:
        wake.run(environ)
