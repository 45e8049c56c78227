"""Deeds: what a client's call changes, or gives access to. One record for each, when it has ended.

The dispatcher watches each call as a whole. A method that works on several instances watches each
of them instead, and so tells which of them failed. A caller who hangs up may leave work behind that
goes on: then the record waits for that, and has its outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from multipassd.audit import record
from multipassd.audit.budget import CHEAP, NAMES, Budget, Kind
from multipassd.audit.event import Event
from multipassd.audit.record import VALUES, Actor, harmless
from multipassd.system.background import LEFT
from protocol.errors import RpcError
from protocol.status import Status

DONE, FAILED, CANCELLED = "done", "failed", "cancelled"

# By its verb, what the record of a deed that was done says, in MULTIPASS_ACTION and in words.
ACTIONS = {
    "launch": "launched",
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "suspend": "suspended",
    "delete": "deleted",
    "purge": "purged",
    "recover": "recovered",
    "mount": "mounted",
    "umount": "unmounted",
    "snapshot": "taken",
    "restore": "restored",
    "clone": "cloned",
    "move": "moved",
    "set": "changed",
    "export": "exported",
    "import": "imported",
    "access": "accessed",
}
# What these change is on record by `trail.py`, where it is done, a record for each client.
TRUST = ("authenticate", "invite", "grant", "revoke", "renew", "remove")


class Subject(NamedTuple):
    """On what. `client`: a name or a fingerprint, as it was asked for; `source`: the instance that
    a clone was made of."""

    instances: tuple[str, ...] = ()
    snapshot: str = ""
    setting: str = ""
    client: str = ""
    source: str = ""


class Work:
    """A piece of work that gets a record. A method may change what it is on."""

    def __init__(self, subject: Subject, verb: str, action: str) -> None:
        self.subject = subject
        self.verb = verb
        self.action = action
        self.effective = False
        self.nothing = False

    def took_effect(self) -> None:
        """What was asked for has happened, and stays whatever else fails."""
        self.effective = True

    def had_nothing_to_do(self) -> None:
        """Then there is nothing to put on record, unless it fails."""
        self.nothing = True


class Deed:
    """What one call does. `verb` is that of its method; without one nothing is recorded."""

    def __init__(self, verb: str, by: Actor, budget: Budget, subject: Subject) -> None:
        self._by = by
        self._budget = budget
        self._told_apart = False
        self.whole = Work(subject, verb, ACTIONS.get(verb, ""))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The whole call."""
        if not self.whole.verb:
            yield
            return
        with self._watched(self.whole):
            yield

    def done_already(self) -> None:
        """What was asked for has happened, and the call may go on for days: the record is written
        now."""
        if self.whole.verb:
            self._end(self.whole, None)
            self._told_apart = True

    @contextmanager
    def on(self, subject: Subject, verb: str = "", action: str = "") -> Iterator[Work]:
        """The part of the call that is about this subject: a record of its own, instead of one for
        the call. `verb`: if it is not the call's."""
        self._told_apart = True
        verb = verb or self.whole.verb
        work = Work(subject, verb, action or ACTIONS.get(verb, ""))
        if not self.whole.verb:
            yield work
            return
        with self._watched(work):
            yield work

    @contextmanager
    def _watched(self, work: Work) -> Iterator[Work]:
        left: list[asyncio.Task[Any]] = []
        token = LEFT.set(left)
        error: BaseException | None = None
        try:
            yield work
        except BaseException as caught:
            error = caught
            raise
        finally:
            LEFT.reset(token)
            if isinstance(error, asyncio.CancelledError) and left and not work.effective:
                self._end_later(work, left)
            else:
                self._end(work, error)

    def _end_later(self, work: Work, left: list[asyncio.Task[Any]]) -> None:
        """When all of the work has ended that goes on without its caller."""
        waiting = set(left)

        def ended(task: asyncio.Task[Any]) -> None:
            waiting.discard(task)
            if not waiting:
                self._end(work, next(filter(None, map(_error, left)), None))

        for task in list(waiting):
            task.add_done_callback(ended)

    def _end(self, work: Work, error: BaseException | None) -> None:
        if work is self.whole and self._told_apart:
            return
        if isinstance(error, asyncio.CancelledError) and work.effective:
            error = None
        if error is None and (work.nothing or work.verb in TRUST):
            return
        if error is not None and work.verb == "authenticate":
            return  # a refusal, which the method records as such
        outcome = DONE if work.effective else _outcome(error)
        lasting = outcome == DONE and work.verb not in CHEAP
        instances = tuple(map(harmless, work.subject.instances[:VALUES]))
        kind = Kind(lasting, work.verb, instances[:NAMES], outcome)
        if self._budget.allows(self._by, kind):
            self._write(work, instances, outcome, error)

    def _write(
        self, work: Work, instances: tuple[str, ...], outcome: str, error: BaseException | None
    ) -> None:
        subject = work.subject
        fields: dict[str, str | tuple[str, ...]] = {
            **record.by(self._by),
            "MULTIPASS_VERB": work.verb,
            "MULTIPASS_OUTCOME": outcome,
        }
        if instances:
            fields["MULTIPASS_INSTANCE"] = instances
        if subject.source:
            fields["MULTIPASS_SOURCE"] = harmless(subject.source)
        if subject.snapshot:
            fields["MULTIPASS_SNAPSHOT"] = harmless(subject.snapshot)
        if subject.setting:
            fields["MULTIPASS_SETTING"] = harmless(subject.setting)
        if subject.client:
            fields["MULTIPASS_ABOUT"] = harmless(subject.client)
        problem = ""
        if error is not None and outcome != CANCELLED:
            status, why = _cause(error, work.verb)
            fields["MULTIPASS_STATUS"] = status
            if why:
                fields["MULTIPASS_REASON"] = why
            problem = f" ({status}: {why})" if why else f" ({status})"
        if outcome == DONE:
            fields["MULTIPASS_ACTION"] = work.action
            then = f", and then failed{problem}" if problem else ""
            text = f"{_sentence(work, _names(subject, instances))} by {self._by}{then}"
            record.write(_event(work), text, self._by, fields)
        else:
            ended = "was cancelled" if outcome == CANCELLED else f"failed{problem}"
            on = _on(subject, _names(subject, instances))
            text = f"{work.verb}{on} by {self._by} {ended}"
            record.write(Event.FAILED, text, self._by, fields)


NONE = Deed("", record.NOBODY, Budget(), Subject())


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _outcome(error: BaseException | None) -> str:
    """Who is asked, and says no, cancels as one who hangs up."""
    if error is None:
        return DONE
    declined = isinstance(error, RpcError) and error.status is Status.CANCELLED
    return CANCELLED if declined or isinstance(error, asyncio.CancelledError) else FAILED


def _cause(error: BaseException, verb: str) -> tuple[str, str]:
    """The status and the first line of what the caller was told. What is wrong with a setting's
    value quotes that, and of other failures the service's log tells more."""
    if not isinstance(error, RpcError):
        return "internal", ""
    lines = error.message.splitlines() or [""]
    heading = lines[0].endswith(":")  # of a list, whose first entry tells more
    why = " ".join(lines[: 1 + heading])
    return error.status.name.lower(), "" if verb == "set" else harmless(why)


def _event(work: Work) -> Event:
    if work.verb == "set":
        return Event.CHANGED
    return Event.ACCESS if work.verb == "access" else Event.INSTANCE


def _names(subject: Subject, shown: tuple[str, ...]) -> str:
    more = len(subject.instances) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _sentence(work: Work, on: str) -> str:
    subject, action = work.subject, work.action
    if work.verb == "set":
        return f"{harmless(subject.setting)} was changed"
    if work.verb in ("mount", "umount"):
        return f"a directory was {action} {'in' if work.verb == 'mount' else 'from'} {on}"
    if subject.snapshot:
        return f"the snapshot {on}.{harmless(subject.snapshot)} was {action}"
    return f"{on or 'nothing'} was {action}"


def _on(subject: Subject, names: str) -> str:
    on = names or harmless(subject.setting or subject.client)
    shown = f"{on}.{harmless(subject.snapshot)}" if subject.snapshot else on
    return f" of {shown}" if shown else ""
