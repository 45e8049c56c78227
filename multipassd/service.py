"""The service from start to stop: the only module that puts the parts together."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from multipassd import status_line
from multipassd.audit.trail import Audit
from multipassd.auth import gate
from multipassd.auth.enrolment import Enrolment
from multipassd.auth.guess_limiter import Guesses
from multipassd.auth.passphrase import Verifier
from multipassd.auth.peer import own_rule
from multipassd.auth.standing import Standings
from multipassd.backend import Machines
from multipassd.certificates.server_certificate import Identity, ensure
from multipassd.guest_access.guest_access import GuestAccess
from multipassd.late_code import CodeReplaced, LateCode
from multipassd.network.errors import HelperError
from multipassd.rpc.caller_log import CallerLog
from multipassd.rpc.context import Daemon
from multipassd.rpc.dispatcher import Dispatcher
from multipassd.rpc.methods import HANDLERS
from multipassd.settings.settings import Settings
from multipassd.system import installation, log, storage
from multipassd.system.notices import Manager
from multipassd.transport import listeners, reachable
from multipassd.transport.connection_pool import Server
from multipassd.transport.quota.subuids import SubordinateUids
from multipassd.transport.tls import TlsContext
from multipassd.trust.state import FirstClient
from multipassd.trust.store import TrustStore
from protocol import places
from protocol.addresses import Address
from protocol.version import VERSION

_log = log.get("service")

WATCH_INTERVAL = 0.5  # a certificate appended by hand counts within a second
RENEWAL_INTERVAL = 3600.0  # how often the server certificate's age is looked at
RETRY_INTERVAL = 60.0  # the same while it could not be saved: the disk may have room by now


async def serve(addresses: list[Address], idle_exit: float, network: str | None = None) -> int:
    """Run until SIGTERM or SIGINT, or `idle_exit` seconds without a connection where the service
    manager holds all sockets (0: never). `network`: see `Machines`. Returns the exit code;
    raises ListenError, HelperError at once."""
    service = Service(addresses, idle_exit, network)
    await service.start()
    await service.stopped.wait()
    await service.stop()
    return 0


class Service:
    """The running daemon: its parts, start, reload, periodic work and stop."""

    def __init__(self, addresses: list[Address], idle_exit: float, network: str | None) -> None:
        here = installation.here()
        self._loop = asyncio.get_running_loop()
        self.stopped = asyncio.Event()
        self._data = Path(here.data)
        self._root_certificate = Path(here.root_certificate)
        self._manager = Manager()
        self._store = TrustStore(self._data / Path(places.TRUST_STORE).parent)
        self._audit = Audit(self._store.identity)
        self._settings = Settings(Path(here.settings))
        self._subuids = SubordinateUids.load()
        self._listeners, self._group = listeners.open_all(addresses, here.socket)
        self._names = reachable.names(addresses, self._listeners)
        try:
            self._machines = Machines(os.environ, self._data, self._settings, network)
        except HelperError:
            for each in self._listeners:
                each.close()
            raise
        enrolment = Enrolment(
            self._store, self._audit, self._trust_changed, self._adopts, self._owners
        )
        self._daemon = Daemon(
            store=self._store,
            enrolment=enrolment,
            settings=self._settings,
            verifier=Verifier(),
            guesses=Guesses(self._data / "guesses.json"),
            audit=self._audit,
            machines=self._machines,
            data_directory=str(self._data),
            guest_access=GuestAccess(
                self._data, self._store, self._machines, lambda: self._subuids
            ),
            tcp_address=reachable.from_other_machines(self._listeners),
        )
        log.add_handler(CallerLog())
        standings = Standings(self._store, own_rule(self._group), self._settings.refuses_expired)
        self._dispatcher = Dispatcher(self._daemon, standings, HANDLERS)
        self._server = Server(self._dispatcher, standings, self._charge, lambda: self._context)
        activated = all(not each.bound for each in self._listeners)
        self._idle_exit = idle_exit if activated else 0  # else no caller would wake it
        self._farewell = ""  # why it ends, unless by a signal
        self._upkeep: asyncio.Task[None] | None = None
        self._late_code = LateCode()
        self._replaced = ""  # what is wrong where code was to be loaded that is another version's
        self._pruning: asyncio.Task[None] | None = None  # of images; the loop holds tasks weakly
        self._first_client = FirstClient.UNKNOWN  # as of the last change of the sockets' modes
        self._reported: set[str] = set()  # problems that the log has told already
        self._identity: Identity
        self._context: TlsContext

    # -- start ------------------------------------------------------------------------------------

    async def start(self) -> None:
        listeners.raise_descriptor_limit()
        self._late_code.install()
        with suppress(OSError):  # a disk that refuses is no reason to exit: the parts say so
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store.load()
        self._daemon.guest_access.load()
        self._load_identity()
        self._warn_if_not_root()
        self._set_modes()
        self._handle_signals()
        if self._machines.helper is not None:
            self._machines.helper.start()
        await self._daemon.instances.resume()
        self._server.start(self._listeners)
        self._watch()  # reports problems, too
        self._plan_renewal()
        self._prune()
        gc.collect()
        gc.freeze()  # what start-up made stays: no later collection walks through it
        gc.enable()  # the launcher switched it off
        self._manager.ready(self._status())
        _log.info("multipassd %s is ready: %s", VERSION, self._status())

    def _load_identity(self) -> None:
        self._identity = ensure(self._data, self._root_certificate, self._names, time.time())
        self._context = TlsContext(self._identity.certificate, self._identity.key)
        self._daemon.root_certificate = self._identity.root

    @staticmethod
    def _warn_if_not_root() -> None:
        if os.geteuid() != 0:
            _log.warning(
                "running as uid %d instead of root: this user counts as the administrator, and "
                "sockets keep their owner and group",
                os.geteuid(),
            )

    def _handle_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stopped.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _report_problems(self) -> None:
        """Each once; again only after it was gone."""
        problems = {
            self._store.damage,
            *self._store.problems,
            self._settings.problem,
            *self._settings.warnings,
            self._replaced,
            self._identity.problem,
            storage.problem(self._data),
        } - {""}
        for problem in sorted(problems - self._reported):
            if problem == self._store.damage:
                self._audit.store_damaged(str(self._store.path), problem)
            elif problem == self._settings.problem:
                self._audit.settings_unusable(str(self._settings.path), problem)
            else:
                _log.warning("%s", problem)
        self._reported = problems

    # -- while it runs ----------------------------------------------------------------------------

    def _watch(self) -> None:
        """Notice files that others changed. A stat each: inotify would save less than it costs
        in code, and the gate looks again before every decision anyway."""
        self._loop.call_later(WATCH_INTERVAL, self._watch)  # first: what fails once is tried again
        self._replaced = ""
        for look in self._looks():
            self._guarded(look)
        self._report_problems()
        self._manager.status(self._status())  # a problem came or went without a change of trust
        working = self._upkeep is not None and not self._upkeep.done()
        if not working and self._daemon.enrolment.upkeep_due():
            self._upkeep = self._loop.create_task(self._daemon.enrolment.upkeep())
        idle = self._server.idle_for() > self._idle_exit and not self._daemon.instances.busy
        if self._idle_exit and idle:
            self._farewell = "idle; the next caller wakes it"
            self._server.take_no_more()  # at once: a launch that came now would be cut short
            self.stopped.set()

    def _looks(self) -> Iterator[Callable[[], object]]:
        """What is looked at each time; the code for some of it is loaded when it is needed."""
        yield self._daemon.enrolment.refresh
        yield self._settings.refresh
        yield self._follow_first_client
        yield self._dispatcher.look
        yield lambda: self._audit.tick(time.time())
        yield self._daemon.instances.stop_what_is_due
        yield self._daemon.instances.take_up_new
        yield self._machines.share
        yield self._daemon.guest_access.look
        yield self._follow_mount_switch

    def _guarded(self, step: Callable[[], object]) -> None:
        """One step that can't be done must not keep others from being done."""
        try:
            step()
        except CodeReplaced as error:
            self._replaced = error.message

    def _follow_first_client(self) -> None:
        if self._first_client is not self._settings.first_client():
            self._set_modes()

    def _follow_mount_switch(self) -> None:
        if self._daemon.mount_switch.due:  # edited by hand
            self._daemon.tasks.spawn(self._daemon.mount_switch.apply())

    def _renew(self) -> None:
        self._guarded(self._load_identity)  # else the present one goes on
        self._prune()
        self._plan_renewal()

    def _prune(self) -> None:
        self._pruning = self._loop.create_task(self._machines.prune_images())

    def _plan_renewal(self) -> None:
        unsaved = bool(self._identity.problem)
        self._loop.call_later(RETRY_INTERVAL if unsaved else RENEWAL_INTERVAL, self._renew)

    def _reload(self) -> None:
        self._manager.reloading()
        self._load_rest()
        self._settings.reload()
        self._subuids = SubordinateUids.load()
        self._daemon.enrolment.refresh()
        self._guarded(self._load_identity)
        self._reported = set()
        self._report_problems()
        _log.info("reloaded: %s", self._status())
        # Last: the one who asked for the reload may read the log at once.
        self._manager.ready(self._status())

    def _load_rest(self) -> None:
        """A package that is about to replace the files of this program has it reload first."""
        try:
            self._guarded(self._machines.load_driver)
            self._guarded(self._late_code.load_rest)
        except Exception:  # of a module itself: a reload is also for settings and certificates
            _log.exception("not all of the program could be loaded")

    def _charge(self, uid: int) -> int:
        return self._subuids.charge(uid)

    def _trust_changed(self) -> None:
        self._set_modes()
        self._server.trust_changed()
        self._guarded(self._daemon.guest_access.look)
        self._manager.status(self._status())

    def _set_modes(self) -> None:
        """Only an empty store narrows the socket to the admin group."""
        self._first_client = self._settings.first_client()
        open_to_all = gate.open_to_all(self._store.state, self._first_client)
        for each in self._listeners:
            each.set_mode(open_to_all, self._group)

    def _owners(self) -> set[str]:
        return self._daemon.instances.owners()

    def _adopts(self) -> bool:
        return self._settings.first_client() is FirstClient.ADMIN

    def _status(self) -> str:
        problem = self._settings.problem or self._identity.problem
        return status_line.of(self._store, len(self._daemon.instances), self._adopts(), problem)

    # -- stop -------------------------------------------------------------------------------------

    async def stop(self) -> None:
        self._manager.stopping(self._farewell or "stopping")
        await self._server.drain()
        await self._daemon.enrolment.upkeep(everything=True)
        self._machines.close()
        if self._machines.helper is not None:
            await self._machines.helper.stop()
        self._audit.summarise()
        for each in self._listeners:
            each.close()
        _log.info("%s", f"stopped: {self._farewell}" if self._farewell else "stopped")
