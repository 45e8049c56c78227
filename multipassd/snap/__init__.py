"""What snapd asks of the snap at its milestones: one file a hook, all of them in one table.

A hook that fails undoes the change that it belongs to, so each fails only where going on would do
harm. None enrols anybody, and none touches what Multipass 1.16 keeps of instances and images.
"""

from __future__ import annotations

from multipassd.snap import (
    configure,
    install,
    post_refresh,
    pre_refresh,
    remove,
    restart,
    wake,
)
from multipassd.snap.hook import Hook

HOOKS: dict[str, Hook] = {
    "install": install.run,
    "configure": configure.run,
    "pre-refresh": pre_refresh.run,
    "post-refresh": post_refresh.run,
    "remove": remove.run,
    "connect-plug-multipass-support": restart.run,
    "disconnect-plug-multipass-support": restart.run,
    "connect-plug-kvm": restart.run,
    "disconnect-plug-kvm": restart.run,
    "wake": wake.run,  # no hook of snapd's: an app that runs once at each boot
}
