"""What can be said of the trust store as a whole. Pure."""

from enum import Enum


class TrustState(Enum):
    """EMPTY alone adopts a first client, TRUSTING alone trusts, DAMAGED lets nobody new in."""

    EMPTY = "empty"
    TRUSTING = "trusting"
    DAMAGED = "damaged"
