"""What can go wrong before there is a network."""

from __future__ import annotations


class HelperError(Exception):
    """The network helper can't be started; the text is a sentence."""
