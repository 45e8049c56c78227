"""Joining an Incus cluster by a token: pinned before anything is sent, and whole or not at all.

The key is on disk before the cluster gets to know its certificate. If the daemon is killed between
the two, or the cluster's answer is lost, the same token completes the join.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from multipassd.drivers.incus.api import addresses, answers, errors, membership, tls
from multipassd.drivers.incus.api import token as tokens
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import IncusError, Refused, Unreachable
from multipassd.drivers.incus.api.membership import Membership
from multipassd.drivers.incus.api.tls import Impostor
from multipassd.drivers.incus.api.token import Token
from multipassd.system import log
from protocol import certificates

# Nothing renews it, and who may use it is the cluster's trust store to say. As Incus' own clients.
LIFE = timedelta(days=3650)
JOIN_SECONDS = 90.0  # altogether: a token may name many addresses, each of which may be silent
TRUSTED = "trusted"

Check = Callable[[Api], Awaitable[None]]  # of a cluster that is about to be the service's

_log = log.get("incus")


class Unrestricted(IncusError):
    """The token gives a certificate that may do everything with the cluster's hosts."""


class NoProject(IncusError):
    """The certificate is for other projects."""


async def _any(api: Api) -> None:
    """No further check."""


async def join(token: str, directory: Path, project: str, check: Check = _any) -> Membership:
    """The membership, on disk. Raises BadToken, Impostor, Unreachable, Refused, Unrestricted,
    NoProject, TookTooLong, StorageFailed; what `check` raises; then the former one holds."""
    read = tokens.read(token)
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            return await _join(read, directory, project, check)
    except TimeoutError:
        raise errors.too_long("let this daemon join", JOIN_SECONDS) from None


async def _join(read: Token, directory: Path, project: str, check: Check) -> Membership:
    server = await _pinned(read)
    name = await asyncio.to_thread(_credentials, directory, read, server)
    made = Membership(
        addresses=read.addresses,
        fingerprint=read.fingerprint,
        project=project,
        daemon=await asyncio.to_thread(membership.daemon_id, directory),
        client=read.client,
        credentials=name,
    )
    api = Api(made, directory)
    try:
        await _enrol(api, read)
        made = await _looked_at(api)
        await check(api)
    finally:
        await api.close()
    former = membership.named(directory)  # which a connection of this process may still need
    await asyncio.to_thread(membership.write, made, directory)
    await asyncio.to_thread(membership.discard_others, directory, former)
    _log.info("joined the Incus cluster of %s, project %s", ", ".join(made.addresses), project)
    return made


def fingerprint_of(token: str) -> str:
    """The cluster that a token is of: the SHA-256 of its certificate. Raises BadToken."""
    return tokens.read(token).fingerprint


async def _pinned(token: Token) -> bytes:
    """The certificate that the token names, from the first of its addresses that shows it."""
    failures: list[IncusError] = []
    for address in token.addresses:
        try:
            return await tls.pinned_certificate(address, token.fingerprint)
        except (Unreachable, Impostor) as error:
            failures.append(error)
    if impostors := [each for each in failures if isinstance(each, Impostor)]:
        raise impostors[0]
    raise errors.unreachable(list(token.addresses), failures[-1].said)


def _credentials(directory: Path, token: Token, server: bytes) -> str:
    if found := membership.prepared(directory, token.text):
        return found
    pair = certificates.make_client(life=LIFE)
    return membership.prepare(directory, token.text, server, pair.certificate, pair.key)


async def _enrol(api: Api, token: Token) -> None:
    if await _is_trusted(api):  # by an attempt that was cut short
        return
    body = {"type": "client", "name": token.client, "trust_token": token.text}
    try:
        await api.change("POST", "/1.0/certificates", body, what="let this daemon join")
    except errors.Lost:
        if not await _is_trusted(api):
            raise
    except Refused as error:
        raise Refused(
            f"The Incus cluster refused the token: {error.said.rstrip('.')}. A token counts once "
            "and for a time; a new one: `incus config trust add NAME --restricted --projects "
            f"{api.membership.project}`.",
            error.said,
        ) from None
    if not await _is_trusted(api):
        raise errors.bad_answer("let this daemon join", "its certificate is not trusted after it")


async def _is_trusted(api: Api) -> bool:
    return (await _server(api)).get("auth") == TRUSTED


async def _server(api: Api) -> dict[str, Any]:
    what = "tell about itself"
    found = await api.get("/1.0", what=what)
    if not isinstance(found, dict):
        raise errors.bad_answer(what, "it is no description of a server")
    return found


async def _looked_at(api: Api) -> Membership:
    """With the addresses of all members. Raises Unrestricted, NoProject."""
    await _check_rights(api)
    clustered = answers.is_clustered(await _server(api))
    made = api.membership.replace(clustered=clustered)
    if clustered:
        api.membership = made
        found = addresses.usable(each.get("url") for each in await api.members())
        made = made.replace(addresses=found or made.addresses)
    return made


async def _check_rights(api: Api) -> None:
    place = api.directory / api.membership.credentials / membership.CERTIFICATE
    fingerprint = membership.of_pem(await asyncio.to_thread(place.read_bytes))
    path, what = f"/1.0/certificates/{fingerprint}", "tell what the certificate may do"
    found = await api.get(path, what=what)
    if not isinstance(found, dict):
        raise errors.bad_answer(what, "it is no certificate")
    project = api.membership.project
    if found.get("restricted") is not True:
        with suppress(IncusError):
            await api.change("DELETE", path, what="forget the certificate")
        await asyncio.to_thread(membership.discard_others, api.directory)
        raise Unrestricted(
            "The token was made without --restricted: its certificate would rule all hosts of the "
            "cluster, so it was given back. Make another: `incus config trust add NAME "
            f"--restricted --projects {project}`."
        )
    projects = found.get("projects")
    if not isinstance(projects, list) or project not in projects:
        raise NoProject(
            f"The token is for other projects than '{project}' (local.incus.project). Set that to "
            f"one of its, or on a member add it by `incus config trust edit {fingerprint[:12]}`; "
            "then give the same token again."
        )
