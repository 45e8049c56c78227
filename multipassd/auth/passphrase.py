"""Hash a passphrase and check it; only the hash is stored.

A record is `scrypt:N:r:p:salt:hash`, numbers decimal, salt and hash in hexadecimal: characters
`[0-9a-z:]` only, which need no quoting in the settings file. Multipass 1.16 wrote the bare hash,
in hexadecimal and without a salt; that is still accepted.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import NamedTuple, TypeVar

from multipassd.system.background import Tasks
from protocol.errors import TooManyGuesses

SCHEME = "scrypt"
COST, BLOCK, LANES = 1 << 14, 8, 1  # those of 1.16: 16 MiB and some 50 ms a guess
HASH_BYTES = 64
SALT_BYTES = 16

# A record is only as trustworthy as its file: one made by hand must not take all memory.
MAX_MEMORY = 64 << 20
MAX_LANES = 16
MAX_RECORD = 1024

_M_MMAP_THRESHOLD = -3  # <malloc.h>
MMAP_THRESHOLD = 1 << 20  # bytes; what is larger has pages of its own, which go when it is freed

_LOWER_HEX = frozenset("0123456789abcdef")

Result = TypeVar("Result")

WORKERS = 2  # guesses hashed at once: 32 MiB, and one core stays free for trusted clients on two
# A person's guesses come one after the other (`guesses.py`), so these are of as many persons; the
# last of them waits for some 25 s of hashing. More would only wait in vain.
MAX_WAITING = 1024


class _Record(NamedTuple):
    cost: int
    block: int
    lanes: int
    salt: bytes
    hash: bytes


def make(passphrase: str) -> str:
    salt = os.urandom(SALT_BYTES)
    digest = _hash(passphrase, _Record(COST, BLOCK, LANES, salt, bytes(HASH_BYTES)))
    return f"{SCHEME}:{COST}:{BLOCK}:{LANES}:{salt.hex()}:{digest.hex()}"


def verify(passphrase: str, record: str) -> bool:
    """Whether `record` was made of this passphrase; False for a record that is none."""
    import hmac  # slow to import, and rarely needed

    parsed = _parse(record)
    if parsed is None:
        return False
    try:
        return hmac.compare_digest(_hash(passphrase, parsed), parsed.hash)
    except ValueError:  # numbers that scrypt does not take
        return False


def is_record(record: str) -> bool:
    """Whether any passphrase at all could match."""
    return _parse(record) is not None


def is_unsalted(record: str) -> bool:
    """Whether it is of Multipass 1.16's form, the only one that 1.16 can check."""
    parsed = _parse(record)
    return parsed is not None and not parsed.salt


def _hash(passphrase: str, record: _Record) -> bytes:
    _give_memory_back()
    return hashlib.scrypt(
        passphrase.encode("utf-8", "surrogatepass"),
        salt=record.salt,
        n=record.cost,
        r=record.block,
        p=record.lanes,
        maxmem=MAX_MEMORY,
        dklen=len(record.hash),
    )


@cache
def _give_memory_back() -> None:
    """Else glibc, from the second hash in a thread on, keeps the 16 MiB of each for that thread:
    a few guesses would make the daemon 100 MiB larger for as long as it runs."""
    import ctypes  # at the first hash: most daemons see none

    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD)


def _parse(record: str) -> _Record | None:
    if len(record) > MAX_RECORD:
        return None
    fields = record.split(":")
    if len(fields) == 1:
        digest = _from_hex(record)
        return _checked(_Record(COST, BLOCK, LANES, b"", digest)) if digest else None
    if len(fields) != 6 or fields[0] != SCHEME:
        return None
    numbers = [_number(field) for field in fields[1:4]]
    salt, digest = _from_hex(fields[4]), _from_hex(fields[5])
    if salt is None or digest is None:
        return None
    return _checked(_Record(numbers[0], numbers[1], numbers[2], salt, digest))


def _checked(record: _Record) -> _Record | None:
    sound = (
        len(record.hash) == HASH_BYTES
        and record.cost > 1
        and record.cost & (record.cost - 1) == 0
        and record.block > 0
        and 0 < record.lanes <= MAX_LANES
        and 128 * record.cost * record.block <= MAX_MEMORY // 2
    )
    return record if sound else None


def _number(field: str) -> int:
    return int(field) if field.isascii() and field.isdigit() and len(field) < 10 else 0


def _from_hex(field: str) -> bytes | None:
    if len(field) % 2 or not _LOWER_HEX.issuperset(field):
        return None
    return bytes.fromhex(field)


class Verifier:
    """Hashes in worker threads, a few at once, so that the daemon serves other calls."""

    def __init__(self, workers: int = WORKERS, max_waiting: int = MAX_WAITING) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._slot_of_the_trusted = asyncio.Semaphore(1)
        self._places = workers + max_waiting
        self._taken = 0
        self._tasks = Tasks()

    async def verify(self, passphrase: str, record: str, privileged: bool = False) -> bool:
        """Like `verify`; raises TooManyGuesses when the queue is full. Root and trusted clients
        (`privileged`) wait for each other only."""
        if privileged:
            return await self._for_trusted(lambda: verify(passphrase, record))
        return await self._for_strangers(lambda: verify(passphrase, record))

    async def make(self, passphrase: str) -> str:
        """Like `make`, which only trusted clients ask for."""
        return await self._for_trusted(lambda: make(passphrase))

    async def _for_trusted(self, function: Callable[[], Result]) -> Result:
        await self._slot_of_the_trusted.acquire()
        return await self._tasks.complete(
            self._work(function, self._slot_of_the_trusted), auxiliary=True
        )

    async def _for_strangers(self, function: Callable[[], Result]) -> Result:
        if self._taken >= self._places:
            raise TooManyGuesses(
                "Too many passphrases are being checked at this moment. Please try again shortly."
            )
        self._taken += 1
        try:
            await self._slots.acquire()
        except BaseException:
            self._taken -= 1
            raise
        return await self._tasks.complete(self._counted(function), auxiliary=True)

    async def _counted(self, function: Callable[[], Result]) -> Result:
        try:
            return await self._work(function, self._slots)
        finally:
            self._taken -= 1

    @staticmethod
    async def _work(function: Callable[[], Result], slot: asyncio.Semaphore) -> Result:
        """A caller that goes away can't stop the thread, so its slot must outlive the caller:
        otherwise calls that are cancelled at once would start any number of threads."""
        try:
            return await asyncio.to_thread(function)
        finally:
            slot.release()
