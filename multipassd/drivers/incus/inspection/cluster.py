"""The cluster: is it joined, is it reached, and is this service's certificate trusted there?

Asks the cluster itself, within a short time, and changes nothing. What a restricted client may ask
was tried with Incus 6.0.4.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd.drivers.finding import Finding, fine, note, problem
from multipassd.drivers.incus.api import membership, tls
from multipassd.drivers.incus.api.errors import IncusError, Unreachable, shown
from multipassd.drivers.incus.api.membership import Membership, MembershipDamaged
from multipassd.drivers.incus.api.tls import Impostor
from multipassd.drivers.incus.inspection.calls import ask, environment
from protocol import settings as names

if TYPE_CHECKING:
    from multipassd.drivers.incus.api.client import Api

WHOLE_SECONDS = 30.0  # an administrator waits for it
OTHERS = stat.S_IRWXG | stat.S_IRWXO
TRUSTED = "trusted"

JOIN = (
    "on a member `incus config trust add NAME --restricted --projects {project}`; here "
    "`multipass set local.incus.token`, which asks for the token that this printed"
)
LOOK = "on a member `incus cluster list` and `journalctl -u incus`; then check again"
INSTALL = "`sudo apt install python3-aiohttp`"
NO_AIOHTTP = "Python's aiohttp is missing, by which the service talks to the Incus cluster"

Setting = Callable[[str], str]


async def inspect(
    directory: Path, setting: Setting, recorded: Collection[str] = ()
) -> list[Finding]:
    """`directory`: of the membership; `recorded`: the names of this service's instances. Never
    fails for what is wrong at the other end."""
    join = JOIN.format(project=setting(names.INCUS_PROJECT) or "PROJECT")
    found: list[Finding] = []
    known: Membership | None = None
    try:
        known = await asyncio.to_thread(membership.read, directory)
    except MembershipDamaged as error:
        found.append(problem(error.message.rstrip(".")))
    else:
        if known is None:
            found.append(problem("this service has joined no Incus cluster", join))
    try:
        from multipassd.drivers.incus.api.client import Api
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        return [*found, problem(NO_AIOHTTP, INSTALL)]
    if known is None:
        return found
    found += await asyncio.to_thread(_key, membership.credentials(known, directory))
    api = Api(known, directory)
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            await _look(api, setting, recorded, join, found)
    except TimeoutError:
        what = f"the Incus cluster did not tell all within {WHOLE_SECONDS:.0f} s"
        found.append(problem(what, LOOK))
    except IncusError as error:
        found.append(problem(error.message.rstrip("."), LOOK))
    finally:
        await api.close()
    return found


def _key(place: Path) -> list[Finding]:
    """Who reads it can do with the instances what this service can."""
    path = place / membership.KEY
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return [problem(f"{path} can't be read: {error.strerror or error}")]
    if not mode & OTHERS:
        return []
    command = ("chmod", "600", str(path))
    return [
        problem(f"others may read the key {path} ({mode:04o})", f"`{' '.join(command)}`", command)
    ]


async def _look(
    api: Api, setting: Setting, recorded: Collection[str], join: str, found: list[Finding]
) -> None:
    """Raises IncusError."""
    from multipassd.drivers.incus.inspection import hosts, instances, network, project

    if not await _reached(api, join, found):
        return
    server = await ask(api, "/1.0", "tell about itself")
    if server.get("auth") != TRUSTED:
        what = "the Incus cluster does not trust the certificate of this service any more"
        found.append(problem(what, join))
        return
    version = shown(environment(server).get("server_version"), 40)
    where = f"project {api.membership.project}"
    found.append(fine(f"the Incus cluster is reached (Incus {version}, {where})"))
    wanted = setting(names.INCUS_PROJECT)
    if wanted != api.membership.project:
        what = f"the cluster was joined for {where}, and local.incus.project is {wanted or 'empty'}"
        found.append(problem(what, join))
    if not await _certificate(api, found):
        return
    if await project.look(api, found):
        members = await hosts.look(api, setting, found)
        await network.look(api, setting, members, found)
        await instances.look(api, recorded, found)


async def _reached(api: Api, join: str, found: list[Finding]) -> bool:
    """Each address, as the others take over for one that is down."""
    known = api.membership

    async def why_not(address: str) -> IncusError | None:
        try:
            await tls.pinned_certificate(address, known.fingerprint)
        except (Unreachable, Impostor) as error:
            return error
        return None

    answers = await asyncio.gather(*map(why_not, known.addresses))
    whys = dict(zip(known.addresses, answers, strict=True))
    for address, error in whys.items():
        if isinstance(error, Impostor):
            what = f"what answers at {address} has another certificate than the cluster joined"
            found.append(problem(what, f"if the cluster was given a new one, {join}"))
    silent = {each: error for each, error in whys.items() if isinstance(error, Unreachable)}
    if any(error is None for error in whys.values()):
        for address, error in silent.items():
            found.append(note(f"the cluster's member at {address} is not reached: {error.said}"))
        return True
    if silent:
        address, error = next(reversed(silent.items()))
        found.append(
            problem(
                f"no member of the Incus cluster is reached ({', '.join(silent)}): {error.said}",
                "on a member `systemctl status incus` and `incus cluster list`; from here the "
                "network and firewalls must let HTTPS through to these ports",
            )
        )
    return False


async def _certificate(api: Api, found: list[Finding]) -> bool:
    """Is it good for the project?"""
    known = api.membership
    place = membership.credentials(known, api.directory) / membership.CERTIFICATE
    fingerprint = membership.of_pem(await asyncio.to_thread(place.read_bytes))
    shows = await ask(api, f"/1.0/certificates/{fingerprint}", "tell what the certificate may do")
    cure = (
        f"on a member `incus config trust edit {fingerprint[:12]}`, with `restricted: true` and "
        f"`projects: [{known.project}]`"
    )
    if shows.get("restricted") is not True:
        found.append(
            problem(
                "the certificate of this service is not restricted to a project, so who gets at "
                "its key rules all hosts of the cluster",
                cure,
            )
        )
        return True
    projects = shows.get("projects")
    if not isinstance(projects, list) or known.project not in projects:
        what = f"the certificate of this service may not use the project {known.project}"
        found.append(problem(what, cure))
        return False
    return True
