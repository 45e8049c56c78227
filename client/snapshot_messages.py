"""User-visible messages about snapshots and clones; others are in `client/messages.py`."""

from __future__ import annotations

NEED_INSTANCE = "Need the name of an instance to snapshot."
NEED_INSTANCE_AND_SNAPSHOT = "Need the name of an instance and snapshot to restore."
TOO_MANY = "Too many arguments supplied"
RESTORE_TOO_MANY = "Too many arguments supplied."
RESTORE_FORM = (
    "Invalid format. Please specify the instance to restore and snapshot to use in the form "
    "<instance>.<snapshot>."
)
CANNOT_CONFIRM_RESTORE = (
    "Unable to query client for confirmation. Use '--destructive' to automatically discard "
    "current machine state."
)
NEED_SOURCE = "Please provide the name of the source instance."
CLONE_TOO_MANY = "Too many arguments."
TAKING = "Taking snapshot"
RESTORING = "Restoring snapshot"
TAKEN = "Snapshot taken: "  # a message of the service that begins so stays on the terminal


def taken(instance: str, snapshot: str) -> str:
    return f"{TAKEN}{instance}.{snapshot}"


def restored(name: str) -> str:
    return f"Snapshot restored: {name}"


def keep_state(instance: str) -> str:
    return (
        f"Do you want to take a snapshot of {instance} before discarding its current state? "
        "(Yes/no): "
    )


def cloning(source: str) -> str:
    return f"Cloning {source}"
