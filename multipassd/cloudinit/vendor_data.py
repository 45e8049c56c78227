"""The vendor data of a seed: a configuration, and for a clone a script that gives the guest a
machine id of its own. Pure.

Two guests with one machine id are one to DHCP servers, to the journal and to D-Bus. cloud-init
leaves it alone, so a boothook removes it, which no configuration of the user's replaces. It runs at
each boot, before the login is possible, and acts once for each instance.
"""

from __future__ import annotations

from multipassd.cloudinit.mime import Part, message
from protocol.user_data_kinds import kind

BOOTHOOK = "text/cloud-boothook"
RENEWS = "multipass-machine-id"  # the name by which cloud-init notes that it was done
RENEWAL = f"""#!/bin/sh
exec cloud-init-per instance {RENEWS} sh -c '
umask 022
tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id.new || exit
mv /etc/machine-id.new /etc/machine-id || exit
if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then
    cp /etc/machine-id /var/lib/dbus/machine-id
fi
if command -v systemctl; then
    systemctl --no-block try-restart systemd-journald.service systemd-networkd.service
fi
exit 0
'
"""


def of_clone(before: bytes) -> bytes:
    """With what the source's has."""
    text = _text(before)
    if RENEWS in text:
        return before  # the source is a clone itself
    parts = [Part(kind(text), text)] if text.strip() else []
    return message([*parts, Part(BOOTHOOK, RENEWAL)]).encode()


def with_config(before: bytes, config: str) -> bytes:
    """With another configuration; a clone's stays one of a clone."""
    return of_clone(config.encode()) if RENEWS in _text(before) else config.encode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
