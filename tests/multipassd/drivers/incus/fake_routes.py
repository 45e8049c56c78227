"""The routes of the fake of Incus that concern instances and operations."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.multipassd.drivers.incus import fake_resources, fake_server
from tests.multipassd.drivers.incus.fake_operations import Failure
from tests.multipassd.drivers.incus.fake_server import (
    MEMBER,
    Request,
    begin,
    body_of,
    fake_of,
    started,
    sync,
)

INSTANCE = "/1.0/instances/{name}"
SNAPSHOT = INSTANCE + "/snapshots/{snapshot}"


def add(app: web.Application) -> None:
    app.add_routes(
        [
            web.route(method, path, handler)
            for method, path, handler in (*fake_server.ROUTES, *fake_resources.ROUTES, *ROUTES)
        ]
    )


def _here(request: Request) -> Any:
    return fake_of(request).instances.here(request.match_info["name"])


def _location(request: Request) -> str:
    return str(fake_of(request).instances.get(request.match_info["name"]).shown["location"])


# -- instances ------------------------------------------------------------------------------------


async def instances(request: Request) -> web.Response:
    return sync(fake_of(request).instances.list(int(request.query.get("recursion", "0"))))


async def create(request: Request) -> web.Response:
    fake, body = fake_of(request), await body_of(request)
    target = request.query.get("target") or request.app[MEMBER].name
    if target not in {each.name for each in fake.members}:
        raise Failure(404, "Cluster member not found")
    if not fake.runs(target):
        raise Failure(400, f'Cluster member "{target}" is offline')
    if (body.get("config") or {}).get("security.privileged"):
        raise Failure(403, "Privileged containers are forbidden")
    work = lambda: fake.instances.create(body, target)  # noqa: E731
    return begin(request, "Creating instance", work, [body["name"]], target)


async def instance(request: Request) -> web.Response:
    held = fake_of(request).instances
    found = held.get(request.match_info["name"])
    if request.method == "GET":
        return sync(held.show(found, 2 if request.query.get("recursion") else 1))
    found = _here(request)
    if request.method == "DELETE":
        return begin(request, "Deleting instance", lambda: held.remove(found), [found.name])
    body = await body_of(request)
    if request.method == "PATCH":
        held.patch(found, body)
        return sync()
    if request.method == "PUT":
        return begin(request, "Updating instance", lambda: held.put(found, body), [found.name])
    if target := request.query.get("target"):
        work = lambda: held.move(found, target)  # noqa: E731
    else:
        work = lambda: held.rename(found, body["name"])  # noqa: E731
    return begin(request, "Migrating instance", work, [found.name])


async def state(request: Request) -> web.Response:
    held, found = fake_of(request).instances, _here(request)
    if request.method == "GET":
        return sync(found.state())
    body = await body_of(request)
    work = lambda: held.change_state(found, body)  # noqa: E731
    return begin(request, "Changing state", work, [found.name], _location(request))


async def snapshots(request: Request) -> web.Response:
    held, found = fake_of(request).instances, _here(request)
    if request.method == "GET":
        return sync(list(found.snapshots.values()))
    body = await body_of(request)
    work = lambda: held.take_snapshot(found, body)  # noqa: E731
    return begin(request, "Snapshotting instance", work, [found.name])


async def snapshot(request: Request) -> web.Response:
    held, found = fake_of(request).instances, _here(request)
    name = request.match_info["snapshot"]
    if request.method == "GET":
        return sync(held.snapshot(found, name))
    if request.method == "DELETE":
        work = lambda: held.drop_snapshot(found, name)  # noqa: E731
        return begin(request, "Deleting snapshot", work, [found.name])
    body = await body_of(request)

    async def put() -> None:
        held.snapshot(found, name).update(body)

    async def rename() -> None:
        shown = held.snapshot(found, name) | {"name": body["name"]}
        del found.snapshots[name]
        found.snapshots[body["name"]] = shown

    return begin(request, "Updating snapshot", put if request.method == "PUT" else rename, [])


async def files(request: Request) -> web.Response:
    held, found, path = fake_of(request).instances, _here(request), request.query["path"]
    if request.method == "POST":
        held.push(found, path, request.headers, await request.read())
        return sync()
    file = held.pull(found, path)
    if request.method == "DELETE":
        del found.files[path]
        return sync()
    headers = {"X-Incus-type": file.kind, "X-Incus-uid": str(file.uid),
               "X-Incus-gid": str(file.gid), "X-Incus-mode": f"{file.mode:04o}"}  # fmt: skip
    if file.kind == "directory":
        below = path.rstrip("/") + "/"
        names = [each.removeprefix(below) for each in found.files if each.startswith(below)]
        return web.json_response({"type": "sync", "metadata": names}, headers=headers)
    return web.Response(body=file.data, headers=headers)


async def console(request: Request) -> web.Response:
    return web.Response(body=_here(request).log)


async def execute(request: Request) -> web.Response:
    fake, found, body = fake_of(request), _here(request), await body_of(request)
    if not found.runs:
        raise Failure(400, "Instance is not running")
    command = body["command"]
    operations, project = fake.operations, fake.instances.project
    return started(operations.execute(project, found.name, _location(request), command))


# -- operations -----------------------------------------------------------------------------------


async def operation(request: Request) -> web.Response:
    return sync(fake_of(request).operations.get(request.match_info["id"]).shown)


async def wait(request: Request) -> web.Response:
    seconds = int(request.query.get("timeout", "-1"))
    return sync(await fake_of(request).operations.wait(request.match_info["id"], seconds))


async def websocket(request: Request) -> web.StreamResponse:
    return await fake_of(request).operations.connect(request, request.match_info["id"])


async def events(request: Request) -> web.StreamResponse:
    return await fake_of(request).operations.listen(request)


ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/1.0/instances", instances),
    ("POST", "/1.0/instances", create),
    *((each, INSTANCE, instance) for each in ("GET", "PUT", "PATCH", "POST", "DELETE")),
    *((each, f"{INSTANCE}/state", state) for each in ("GET", "PUT")),
    *((each, f"{INSTANCE}/snapshots", snapshots) for each in ("GET", "POST")),
    *((each, SNAPSHOT, snapshot) for each in ("GET", "PUT", "POST", "DELETE")),
    *((each, f"{INSTANCE}/files", files) for each in ("GET", "POST", "DELETE")),
    ("GET", f"{INSTANCE}/console", console),
    ("POST", f"{INSTANCE}/exec", execute),
    ("GET", "/1.0/operations/{id}", operation),
    ("GET", "/1.0/operations/{id}/wait", wait),
    ("GET", "/1.0/operations/{id}/websocket", websocket),
    ("GET", "/1.0/events", events),
)
