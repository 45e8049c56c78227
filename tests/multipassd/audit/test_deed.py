"""One record for each deed: who, from where, what, on what, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.audit import budget
from multipassd.audit.budget import Budget
from multipassd.audit.deed import ACTIONS, TRUST, Deed, Subject
from multipassd.audit.record import TEXT_LIMIT, VALUES, Actor
from multipassd.audit.trail import SUMMARY_INTERVAL, Audit
from multipassd.auth.peer import AdminRule, Credentials, Peer
from multipassd.auth.standing import Standings
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.dispatcher import Dispatcher
from multipassd.rpc.methods.snapshots import Cancelled
from multipassd.rpc.subjects import subject_of
from multipassd.system import log
from multipassd.system.background import Tasks
from multipassd.trust.state import TrustState
from protocol.errors import InvalidSetting, RpcError
from protocol.messages.access import SetRequest
from protocol.messages.common import InstanceNames, InstanceSnapshotPair, TargetPathInfo
from protocol.messages.launch import LaunchRequest
from protocol.messages.lifecycle import DeleteRequest, SSHInfoRequest, StartRequest
from protocol.messages.mounts import MountRequest
from protocol.messages.snapshots import SnapshotRequest
from protocol.messages.trust import RevokeRequest
from protocol.methods import METHODS, READS, Method
from protocol.roles import Role
from protocol.status import Status
from tests.multipassd.audit.conftest import Records
from tests.waiting import until

CLIENT = "ab" * 32
ALICE = Actor("alice", "user", CLIENT, 1000, 4711)
LOCAL = Peer(Credentials(1000, 1000, 4711, frozenset()), b"der", CLIENT)
REMOTE = Peer(None, b"der", CLIENT, "tcp 192.0.2.7", "192.0.2.7:40222")
DEEDS = [method for method in METHODS if method.deed != READS]


class Refused(RpcError):
    status = Status.FAILED_PRECONDITION


# -- each method of the table, through the dispatcher ---------------------------------------------


async def ends_well(call: Call[Any], daemon: Daemon) -> None: ...


async def fails(call: Call[Any], daemon: Daemon) -> None:
    raise Refused("it is\nnot so")


async def breaks(call: Call[Any], daemon: Daemon) -> None:
    raise ZeroDivisionError


async def is_left(call: Call[Any], daemon: Daemon) -> None:
    """Its caller hangs up."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


class Stream:
    """As the dispatcher sees it."""

    message = b""

    def __init__(self, peer: Peer, method: Method) -> None:
        self.connection = SimpleNamespace(peer=peer, standing_changed=lambda standing: None)
        self.method = method

    def fail(self, error: RpcError) -> None: ...
    def succeed(self) -> None: ...


Handler = Callable[[Call[Any], Daemon], Awaitable[None]]


def serve(method: Method, handler: Handler, peer: Peer) -> None:
    """A call by a trusted client."""

    async def story() -> None:
        store = SimpleNamespace(
            state=TrustState.TRUSTING,
            holder_of=lambda who: (Role.ADMIN, "alice"),
            seen=lambda who, now: None,
        )
        quiet = SimpleNamespace(refresh=lambda: None)
        parts = SimpleNamespace(audit=Audit(), store=store, enrolment=quiet, instances=None)
        standings = Standings(cast(Any, store), AdminRule(0, 0))
        dispatcher = Dispatcher(cast(Any, parts), standings, {method.path: handler})
        task = asyncio.create_task(dispatcher.serve(cast(Any, Stream(peer, method))))
        await asyncio.wait({task})

    asyncio.run(story())


def id_of(method: Method) -> str:
    return method.path


@pytest.mark.parametrize("method", METHODS, ids=id_of)
@pytest.mark.parametrize("peer", [LOCAL, REMOTE], ids=["local", "remote"])
def test_each_deed_of_the_table_is_one_record_with_all_fields_and_no_read_is(
    records: Records, method: Method, peer: Peer
) -> None:
    outcomes = []
    for handler in (ends_well, fails, breaks, is_left):
        serve(method, handler, peer)
        outcomes.append(records.values("OUTCOME"))
        if records.records:
            (fields,) = records.fields
            where = {"MULTIPASS_UID": "1000", "MULTIPASS_PID": "4711"}
            where = where if peer is LOCAL else {"MULTIPASS_ADDRESS": "192.0.2.7:40222"}
            who = {"MULTIPASS_CLIENT": CLIENT, "MULTIPASS_NAME": "alice"}
            who |= {"MULTIPASS_ROLE": "admin", "MULTIPASS_VERB": method.deed}
            assert (who | where).items() <= fields.items()
        records.records.clear()
    if method.deed in (READS, "authenticate"):
        assert outcomes == [[], [], [], []]
    elif method.deed in TRUST:  # what was done is on record for each client
        assert outcomes == [[], ["failed"], ["failed"], ["cancelled"]]
    else:
        assert outcomes == [["done"], ["failed"], ["failed"], ["cancelled"]]


def test_each_verb_of_the_table_is_known() -> None:
    assert {method.deed for method in DEEDS} == ACTIONS.keys() | set(TRUST)


def test_what_a_request_names_is_what_the_record_is_about() -> None:
    pair = InstanceSnapshotPair
    target = TargetPathInfo
    assert subject_of(
        StartRequest(instance_names=InstanceNames(instance_name=["a", "b", "a"]))
    ) == (Subject(("a", "b")))
    assert subject_of(StartRequest()) == Subject()
    assert subject_of(LaunchRequest(instance_name="a")) == Subject(("a",))
    assert subject_of(SSHInfoRequest(instance_name=["a"])) == Subject(("a",))
    assert subject_of(SnapshotRequest(instance="a", snapshot="s")) == Subject(("a",), "s")
    one = [pair(instance_name="a", snapshot_name="s")]
    assert subject_of(DeleteRequest(instance_snapshot_pairs=one)) == Subject(("a",), "s")
    paths = [target(instance_name="a", target_path="/x"), target(instance_name="b")]
    assert subject_of(MountRequest(target_paths=paths)) == Subject(("a", "b"))
    assert subject_of(RevokeRequest(who="bob")) == Subject(client="bob")
    assert subject_of(SetRequest(key="local.a.cpus", val="2")) == (
        Subject(("a",), setting="local.a.cpus")
    )
    assert subject_of(SetRequest(key="local.driver")) == Subject(setting="local.driver")


# -- outcomes -------------------------------------------------------------------------------------


FOO = Subject(("foo",))


def made(verb: str, subject: Subject = FOO) -> Deed:
    return Deed(verb, ALICE, Budget(), subject)


def outcomes(records: Records) -> list[tuple[str, tuple[str, ...]]]:
    return [(each["MULTIPASS_OUTCOME"], each["MULTIPASS_INSTANCE"]) for each in records.fields]


def test_each_instance_of_a_call_has_its_own_record_and_outcome(records: Records) -> None:
    call = made("stop", Subject(("a", "b")))
    with pytest.raises(Refused), call.watched():
        with call.on(Subject(("a",))):
            pass
        with call.on(Subject(("b",))):
            raise Refused("b is busy")
    assert outcomes(records) == [("done", ("a",)), ("failed", ("b",))]
    assert records.texts[0] == f"a was stopped by client {CLIENT[:16]} (alice, user), uid 1000"
    assert records.texts[1].endswith(
        "(alice, user) failed (failed_precondition: b is busy), uid 1000"
    )


def test_what_took_effect_before_the_error_or_the_hang_up_is_done(records: Records) -> None:
    for error in (Refused("timed out"), asyncio.CancelledError()):
        call = made("start")
        with pytest.raises(type(error)), call.watched():
            call.whole.took_effect()
            raise error
    assert outcomes(records) == [("done", ("foo",)), ("done", ("foo",))]
    assert records.values("REASON") == ["timed out"]


def test_the_reason_is_the_first_line_and_of_a_list_its_first_entry(records: Records) -> None:
    for message in ("it is\nnot so", "The following errors occurred:\nfoo runs\nbar runs", ""):
        with pytest.raises(Refused), made("start").watched():
            raise Refused(message)
    assert records.values("REASON") == ["it is", "The following errors occurred: foo runs"]


def test_who_is_asked_and_says_no_has_cancelled_it(records: Records) -> None:
    with pytest.raises(Cancelled), made("restore").watched():
        raise Cancelled
    assert outcomes(records) == [("cancelled", ("foo",))]


def test_access_that_lasts_is_recorded_when_it_begins_and_once(records: Records) -> None:
    call = made("access")
    with pytest.raises(asyncio.CancelledError), call.watched():
        call.done_already()
        assert outcomes(records) == [("done", ("foo",))]
        raise asyncio.CancelledError
    assert len(records.records) == 1


def test_nothing_to_do_is_no_deed_and_its_failure_is(records: Records) -> None:
    for error in (None, Refused("no")):
        call = made("recover")
        try:
            with call.watched(), call.on(Subject(("foo",))) as work:
                work.had_nothing_to_do()
                if error:
                    raise error
        except Refused:
            pass
    assert outcomes(records) == [("failed", ("foo",))]


@pytest.mark.parametrize("error", [None, Refused("no room")])
def test_work_that_goes_on_after_the_hang_up_is_recorded_when_it_ends(
    records: Records, error: RpcError | None
) -> None:
    async def story() -> None:
        go_on, tasks = asyncio.Event(), Tasks()

        async def work() -> None:
            await go_on.wait()
            if error:
                raise error

        async def serve() -> None:
            call = made("purge")
            with call.watched(), call.on(Subject(("foo",))):
                await tasks.complete(work())

        task = asyncio.create_task(serve())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() and not records.records, "it has not ended yet"
        go_on.set()
        await asyncio.to_thread(until, lambda: bool(records.records))

    asyncio.run(story())
    assert outcomes(records) == [("failed" if error else "done", ("foo",))]


def test_what_is_left_running_and_was_not_asked_for_leaves_the_deed_undone(
    records: Records,
) -> None:
    """A check that can't be stopped; and a machine that is started, and then removed again."""

    async def story() -> None:
        tasks, go_on = Tasks(), asyncio.Event()

        async def makes() -> None:
            try:
                await tasks.complete(go_on.wait())
            except asyncio.CancelledError:
                go_on.set()  # and undoes it
                raise

        async def hang_up(work: Callable[[], Awaitable[object]]) -> None:
            async def serve() -> None:
                with made("launch").watched():
                    await work()

            task = asyncio.create_task(serve())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})

        async def launches() -> None:
            making = tasks.spawn(makes())
            try:
                await asyncio.shield(making)
            except asyncio.CancelledError:
                making.cancel()
                await asyncio.wait({making})
                raise

        await hang_up(lambda: tasks.complete(go_on.wait(), auxiliary=True))
        await hang_up(launches)

    asyncio.run(story())
    assert outcomes(records) == [("cancelled", ("foo",)), ("cancelled", ("foo",))]


# -- what bounds them -----------------------------------------------------------------------------


def act(trail: Audit, verb: str, instance: str, by: Actor = ALICE) -> None:
    with Deed(verb, by, trail.budget, Subject((instance,))).watched():
        pass


def test_a_flood_of_starts_is_bounded_summed_up_and_hides_no_deletion(records: Records) -> None:
    trail = Audit()
    trail.tick(0)
    for _ in range(100_000):
        act(trail, "start", "foo")
    act(trail, "purge", "foo")
    act(trail, "start", "bar", Actor("bob", "user", "cd" * 32, 1001, 1))
    trail.granted("ef" * 32, ALICE, "role user")
    assert len(records.records) == budget.ALLOWANCE + 3
    trail.tick(SUMMARY_INTERVAL)
    assert len(records.records) == budget.ALLOWANCE + 4
    summary = records.fields[-1]
    assert summary["MULTIPASS_EVENT"] == "repeated" and summary["MULTIPASS_NAME"] == "alice"
    assert summary["MULTIPASS_COUNT"] == str(100_000 - budget.ALLOWANCE)
    assert summary["MULTIPASS_INSTANCE"] == ("foo",) and summary["MULTIPASS_VERB"] == ("start",)
    for _ in range(budget.PER_MINUTE + 5):
        act(trail, "start", "foo")
    assert len(records.records) == budget.ALLOWANCE + 4 + budget.PER_MINUTE


def test_a_flood_of_ever_new_names_is_one_summary_a_minute_of_bounded_size(
    records: Records,
) -> None:
    trail = Audit()
    trail.tick(0)
    for number in range(10_000):
        call = Deed("start", ALICE, trail.budget, Subject((f"n{number}",)))
        with pytest.raises(Refused), call.watched():
            raise Refused("no")
    records.records.clear()
    trail.tick(SUMMARY_INTERVAL)
    ((summary),) = records.fields
    assert len(summary["MULTIPASS_INSTANCE"]) <= VALUES and len(records.texts[0]) < 1000
    assert summary["MULTIPASS_COUNT"] == str(10_000 - budget.ALLOWANCE)
    records.records.clear()
    trail.tick(2 * SUMMARY_INTERVAL)
    assert not records.records


def test_many_persons_together_stay_below_what_journald_takes(records: Records) -> None:
    trail = Audit()
    trail.tick(0)
    for number in range(1000):
        by = Actor(f"client{number}", "user", f"{number:064x}", 1000 + number, 1)
        for _ in range(20):
            act(trail, "start", "foo", by)
    assert len(records.records) == budget.IN_ALL
    act(trail, "purge", "foo")
    assert len(records.records) == budget.IN_ALL + 1
    trail.tick(SUMMARY_INTERVAL)
    trail.tick(2 * SUMMARY_INTERVAL)
    assert len(records.records) == budget.IN_ALL + 1 + 2 * budget.SUMMARIES
    assert budget.IN_ALL * 2 + budget.SUMMARIES < 10_000


def test_deeds_that_change_something_are_named_first_in_a_summary(records: Records) -> None:
    trail = Audit()
    trail.tick(0)
    for number in range(budget.ALLOWANCE + 1):
        act(trail, "set", "foo")
        act(trail, "start", f"n{number}")
    for number in range(20):
        act(trail, "start", f"n{number}")
        act(trail, "start", f"n{number}")
    trail.tick(SUMMARY_INTERVAL)
    assert "1 of set foo (done)" in records.texts[-1]


def test_a_person_who_pauses_takes_no_memory(records: Records) -> None:
    allowance = Budget()
    kind = budget.Kind(False, "start", ("foo",), "done")
    for number in range(1000):
        allowance.allows(Actor(f"client{number}"), kind)
    allowance.refill(1)
    assert not allowance._persons


# -- what is never in them ------------------------------------------------------------------------


def test_a_request_with_a_million_names_is_a_record_of_bounded_size(records: Records) -> None:
    names = tuple(f"{number:06}" for number in range(1_000_000))
    with pytest.raises(Refused), made("start", Subject(names)).watched():
        raise Refused(", ".join(names))
    (fields,) = records.fields
    assert fields["MULTIPASS_INSTANCE"] == names[:VALUES]
    assert "and 999984 more" in records.texts[0] and len(records.texts[0]) < 600


def test_no_value_invitation_or_password_of_a_url_is_recorded(records: Records) -> None:
    secret = "correct-horse"
    with pytest.raises(InvalidSetting), made("set", Subject(setting="local.x")).watched():
        raise InvalidSetting("local.x", secret, "no")
    line = f"mpi1-{secret}"
    with pytest.raises(Refused), made("revoke", Subject(client=line)).watched():
        raise Refused(f"There is no client '{line}'.")
    with pytest.raises(Refused), made("launch").watched():
        raise Refused(f"http://alice:{secret}@host/x.img can't be read")
    written = "".join([*records.texts, *map(str, records.fields)])
    assert secret not in written and "mpi1-…" in written and "http://…@host/x.img" in written


@given(st.text(max_size=500))
def test_foreign_text_is_one_printable_line_of_bounded_length(text: str) -> None:
    handler = Records()
    logger = log.get("audit")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel("DEBUG")
    try:
        subject = Subject((text,), text, text, text, text)
        with pytest.raises(Refused), made("start", subject).watched():
            raise Refused(text)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    for value in (*handler.texts, *handler.fields[0].values()):
        for each in (value,) if isinstance(value, str) else value:
            assert each.isprintable() or not each
            assert len(each) <= 50 * TEXT_LIMIT
