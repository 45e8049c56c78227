"""What can be said of the trust store as a whole. Pure."""

from enum import Enum


class TrustState(Enum):
    """Only EMPTY adopts a first client, only TRUSTING trusts, DAMAGED lets no new client in."""

    EMPTY = "empty"
    TRUSTING = "trusting"
    DAMAGED = "damaged"
