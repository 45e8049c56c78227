"""When a peer's certificate ends. Pure."""

from __future__ import annotations

from math import inf

from protocol import validity

NEVER_VALID = -inf


def ends(der: bytes) -> float:
    """In seconds since 1970; NEVER_VALID where it says no moment."""
    try:
        return validity.ends(der)
    except ValueError:
        from multipassd.certificates import certificate_checks  # of a rare form, or of none

        return certificate_checks.ends(der)
