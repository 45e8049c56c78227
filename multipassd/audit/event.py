"""The kinds of records, with the ids under which the journal's catalogue explains them."""

from __future__ import annotations

from enum import Enum


class Event(Enum):
    """What happened. Never change an id, or a name: people query for them."""

    GRANTED = "6d9df0a1f3f3483c8f2a9a2a3b1f7c10"
    REMOVED = "0b0f6cbb6d4c4f4f8b7bb6cf27b0a3d2"
    CHANGED = "f2b7f6e0a8f94f35a9cde2c1a4b2d6e3"
    INVITED = "3f1c2b7e5d684a0f9b0e6a4d8c5f2e71"
    DENIED = "c3a8c1d96a5f4f64b1a1f0d5a6e7b8f4"
    STORE_DAMAGED = "ac351eddb4d341539d0b4e54d9c04b36"
    SETTINGS_UNUSABLE = "170a1bd3165a44a78a272267de3275ef"
    INSTANCE = "f93ba97a75774e1e8e847c86c0efaa63"
    ACCESS = "5b1e0c8f7a2d4d5e9c3f60b7e4a81d29"
    FAILED = "8e47d2a95c6b4f0fb1d03e9a7c52f864"
    WITHDRAWN = "d40c95f16b3e4a7a8f27c1e05b9d6a38"
    ADMINISTERED = "91c4e7d25fa84b0b8e6d3af70b1c528d"
    RENEWED = "4c6a1f0e93b84d7a8e25d1c07f9b6a34"
    REPEATED = "27f6b8d30e914c5cae8b5d19f4c07a63"


WARNINGS = (Event.DENIED, Event.STORE_DAMAGED, Event.SETTINGS_UNUSABLE)
