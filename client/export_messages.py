"""Sentences of `export` and `import`."""

from __future__ import annotations

EXPORT_ARGUMENTS = "Name the instance to export and the file to write"
IMPORT_ARGUMENTS = "Name the file to import"
NO_FILE = "An export is written to a file, which needs a name"
SENDING = "Writing the file: "
SHORT = "The service ended the file before it was whole; nothing was kept."


def exported(name: str, path: str) -> str:
    return f"Exported: {name} to {path}"


def imported(name: str) -> str:
    return f"Imported: {name}"


def in_the_way(path: str) -> str:
    return f"{path} exists already; name another file, or remove it first."


def not_written(path: str, why: str) -> str:
    return f"{path} can't be written: {why}."
