"""When a peer's certificate ends. Pure."""

from __future__ import annotations

from protocol import validity


def ends(der: bytes) -> float:
    """In seconds since 1970; NEVER_VALID where it says no moment."""
    try:
        return validity.ends(der)
    except ValueError:
        from multipassd.auth import certificate_checks  # of a rare form, or of none

        return certificate_checks.ends(der)
