"""The routes of the fake of Incus that concern the server: trust, members, pools, images."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from aiohttp import BodyPartReader, web

from tests.multipassd.drivers.incus.fake_operations import Failure, Json, Operation

if TYPE_CHECKING:
    from tests.multipassd.drivers.incus.fake_incus import FakeIncus, Member

Request = web.Request
MEMBER: web.AppKey[Any] = web.AppKey("member", object)
FAKE: web.AppKey[Any] = web.AppKey("fake", object)


def fake_of(request: Request) -> FakeIncus:
    found: FakeIncus = request.app[FAKE]
    return found


def _client(request: Request) -> str:
    from tests.multipassd.drivers.incus.fake_incus import client_of

    return client_of(request)


def sync(metadata: object = None) -> web.Response:
    body = {"type": "sync", "status": "Success", "status_code": 200, "metadata": metadata}
    return web.json_response(body)


def started(operation: Operation) -> web.Response:
    path = f"/1.0/operations/{operation.shown['id']}?project={operation.project}"
    body = {
        "type": "async",
        "status": "Operation created",
        "status_code": 100,
        "operation": path,
        "metadata": operation.shown,
    }
    return web.json_response(body, status=202, headers={"Location": path})


def begin(
    request: Request,
    what: str,
    work: Callable[[], Awaitable[None]],
    instances: Sequence[str],
    member: str = "",
) -> web.Response:
    async def working(_: Operation) -> None:
        await work()

    fake = fake_of(request)
    member = member or request.app[MEMBER].name
    project = fake.instances.project
    return started(
        fake.operations.begin(project, what, working, instances=instances, member=member)
    )


async def body_of(request: Request) -> Json:
    try:
        found = await request.json()
    except ValueError:
        raise Failure(400, "invalid JSON") from None
    assert isinstance(found, dict)
    return found


# -- server ---------------------------------------------------------------------------------------


async def server(request: Request) -> web.Response:
    fake, member = fake_of(request), request.app[MEMBER]
    found: Json = {"api_version": "1.0", "auth": "untrusted", "public": False}
    if _client(request) in fake.trusted:
        found |= {
            "auth": "trusted",
            "environment": {
                **_environment(request),
                "server_version": "6.0.4",
                "server_clustered": len(fake.members) > 1,
                "addresses": [member.address],
                "certificate_fingerprint": fake.fingerprint,
            },
        }
    return sync(found)


async def enrol(request: Request) -> web.Response:
    fake, body = fake_of(request), await body_of(request)
    try:
        secret = json.loads(base64.b64decode(body["trust_token"]))["secret"]
        rights = fake.tokens.pop(secret)
    except (KeyError, ValueError):
        raise Failure(403, "No matching certificate add operation found") from None
    fake.trusted[_client(request)] = {**rights, "name": body["name"], "type": "client"}
    return sync()


async def certificates(request: Request) -> web.Response:
    return sync(list(fake_of(request).trusted.values()))


async def certificate(request: Request) -> web.Response:
    fake, fingerprint = fake_of(request), request.match_info["fingerprint"]
    if fingerprint not in fake.trusted:
        raise Failure(404, "Certificate not found")
    if request.method == "DELETE":
        if fake.trusted[_client(request)]["restricted"]:
            raise Failure(403, "not authorized")
        del fake.trusted[fingerprint]
        return sync()
    return sync(fake.trusted[fingerprint] | {"fingerprint": fingerprint})


def _environment(request: Request) -> Json:
    from tests.multipassd.drivers.incus.fake_resources import environment

    return environment(request)


def _member(fake: FakeIncus, member: Member) -> Json:
    online = fake.runs(member.name)
    status = "Evacuated" if member.name in fake.resources.evacuated else "Online"
    return {
        "server_name": member.name,
        "url": f"https://{member.address}",
        "status": status if online else "Offline",
        "message": "Fully operational" if online else "No heartbeat for 30s",
        "database": True,
        "roles": ["database"],
    }


async def members(request: Request) -> web.Response:
    fake = fake_of(request)
    if len(fake.members) == 1:
        raise Failure(400, "Server is not clustered")
    return sync([_member(fake, each) for each in fake.members])


async def one_member(request: Request) -> web.Response:
    fake = fake_of(request)
    for each in fake.members:
        if each.name == request.match_info["member"] and len(fake.members) > 1:
            return sync(_member(fake, each))
    raise Failure(404, "Cluster member not found")


# -- images ---------------------------------------------------------------------------------------


async def images(request: Request) -> web.Response:
    fake = fake_of(request)
    deep = request.query.get("recursion", "0") != "0"
    return sync(list(fake.images.values()) if deep else [f"/1.0/images/{e}" for e in fake.images])


async def upload(request: Request) -> web.Response:
    fake = fake_of(request)
    metadata, root, kind, properties = await _uploaded(request)
    data = metadata + root
    given = parse_qs(request.headers.get("X-Incus-properties", ""))
    properties |= {name: values[0] for name, values in given.items()}
    fingerprint = hashlib.sha256(data).hexdigest()
    if fingerprint in fake.images:
        raise Failure(500, "Image with same fingerprint already exists")

    async def keep(operation: Operation) -> None:
        fake.roots[fingerprint] = root
        fake.images[fingerprint] = {
            "fingerprint": fingerprint,
            "size": len(data),
            "type": kind,
            "architecture": "x86_64",
            "properties": properties,
            "uploaded_at": datetime.now(UTC).isoformat(),
            "last_used_at": "0001-01-01T00:00:00Z",
        }
        operation.shown["metadata"] = {"fingerprint": fingerprint, "size": str(len(data))}
        fake.operations.lifecycle(
            fake.instances.project, "image-created", f"/1.0/images/{fingerprint}", ""
        )

    return started(fake.operations.begin(fake.instances.project, "Downloading image", keep))


async def _uploaded(request: Request) -> tuple[bytes, bytes, str, Json]:
    """Metadata and root file system, whose fingerprint is of both; the type; the properties."""
    if not request.content_type.startswith("multipart/"):
        return await request.read(), b"", "container", {}
    reader = await request.multipart()
    parts = []
    while (part := await reader.next()) is not None:
        assert isinstance(part, BodyPartReader)
        parts.append((part.name, bytes(await part.read())))
    (name, metadata), (root_name, root) = parts
    if name != "metadata" or root_name not in {"rootfs", "rootfs.img"}:
        raise Failure(500, "Invalid multipart image")
    with tarfile.open(fileobj=io.BytesIO(metadata)) as tar:
        text = tar.extractfile("metadata.yaml")
        assert text is not None
        properties = json.load(text)["properties"]
    kind = "container" if root_name == "rootfs" else "virtual-machine"
    return metadata, root, kind, properties


async def one_image(request: Request) -> web.Response:
    fake, fingerprint = fake_of(request), request.match_info["fingerprint"]
    if fingerprint not in fake.images:
        raise Failure(404, "Image not found")
    if request.method == "GET":
        return sync(fake.images[fingerprint])

    async def remove() -> None:
        del fake.images[fingerprint]

    return begin(request, "Deleting image", remove, ())


ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/1.0", server),
    ("GET", "/1.0/certificates", certificates),
    ("POST", "/1.0/certificates", enrol),
    ("GET", "/1.0/certificates/{fingerprint}", certificate),
    ("DELETE", "/1.0/certificates/{fingerprint}", certificate),
    ("GET", "/1.0/cluster/members", members),
    ("GET", "/1.0/cluster/members/{member}", one_member),
    ("GET", "/1.0/images", images),
    ("POST", "/1.0/images", upload),
    *((method, "/1.0/images/{fingerprint}", one_image) for method in ("GET", "DELETE")),
)
