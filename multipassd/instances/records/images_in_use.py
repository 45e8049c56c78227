"""Which images instances stand on, in the records of all drivers."""

from __future__ import annotations

from collections.abc import Iterable

from multipassd.instances.records.registry import Registry


def images_in_use(present: Registry, others: Iterable[Registry]) -> set[str] | None:
    """Their ids; None while that is not known of each instance: then any image may be in use.
    `others`: of drivers that are not chosen now, which are read here. Blocks."""
    found = present.images()
    for registry in others:
        registry.read()
        in_use = registry.images()
        found = None if found is None or in_use is None else found | in_use
    return found
