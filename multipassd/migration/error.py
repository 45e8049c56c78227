"""What can keep an instance of 1.16 from being taken over."""

from __future__ import annotations


class CannotTake(Exception):
    """One instance, or all, can't be taken over; the text says what, why and what to do."""
