"""States of the trust store. Pure."""

from enum import Enum


class TrustState(Enum):
    """Only EMPTY adopts a first client, only TRUSTING trusts, DAMAGED lets no new client in."""

    EMPTY = "empty"
    TRUSTING = "trusting"
    DAMAGED = "damaged"
