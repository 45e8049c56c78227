"""The instances and snapshots of `info`, as json and as yaml. Pure."""

from __future__ import annotations

from client.render.details import id_pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from client.render.details import Details, View

DISK = "sda1"  # whatever it is called inside


def json(found: Details) -> str:
    from client.render.json import render

    info: dict[str, dict[str, Any]] = {one.name: _json_instance(one) for one in found.instances}
    for one in found.snapshots:
        record = _json_snapshot(one)
        info.setdefault(one.name, {}).setdefault("snapshots", {})[one.about.snapshot_name] = record
    return render({"errors": [], "info": info})


def _json_instance(one: View) -> dict[str, Any]:
    about = one.instance
    disk = {"used": about.disk_usage, "total": one.disk_total}
    memory = {"used": about.memory_usage, "total": one.memory_total}
    record: dict[str, Any] = {
        "state": one.state,
        "image_hash": about.id,
        "image_release": about.image_release,
        "release": about.current_release,
        "cpu_count": one.cpus,
        "load": [float(figure) for figure in about.load.split() if _is_number(figure)],
        "disks": {DISK: {key: size for key, size in disk.items() if size}},
        "memory": {key: int(size) for key, size in memory.items() if size.isdecimal()},
        "ipv4": about.ipv4,
        "mounts": {
            mount.target_path: {
                "source_path": mount.source_path,
                "uid_mappings": _maps(mount, "uid_mappings"),
                "gid_mappings": _maps(mount, "gid_mappings"),
            }
            for mount in one.mounts
        },
    }
    if about.num_snapshots is not None:
        record["snapshot_count"] = str(about.num_snapshots)
    return record


def _json_snapshot(one: View) -> dict[str, Any]:
    return {
        "size": one.size,
        "cpu_count": one.cpus,
        "disk_space": one.disk_total,
        "memory_size": one.memory_total,
        "created": one.created,
        "parent": one.about.parent,
        "comment": one.about.comment,
        "mounts": {mount.target_path: {"source_path": mount.source_path} for mount in one.mounts},
        "children": one.children,
    }


def yaml(found: Details) -> str:
    from client.render.yaml import render

    document: dict[str, Any] = {"errors": [None]}
    entries: dict[str, dict[str, Any]] = {one.name: _yaml_instance(one) for one in found.instances}
    for one in found.snapshots:
        listed = entries.setdefault(one.name, {}).setdefault("snapshots", [])
        listed.append({one.about.snapshot_name: _yaml_snapshot(one)})
    return render(document | {name: [entry] for name, entry in entries.items()})


def _yaml_instance(one: View) -> dict[str, Any]:
    about = one.instance
    record: dict[str, Any] = {"state": one.state}
    if about.num_snapshots is not None:
        record["snapshot_count"] = about.num_snapshots
    record |= {
        "image_hash": about.id or None,
        "image_release": about.image_release,
        "release": about.current_release or None,
        "cpu_count": one.cpus or None,
    }
    if about.load:
        record["load"] = about.load.split()
    record |= {
        "disks": [{DISK: {"used": about.disk_usage or None, "total": one.disk_total or None}}],
        "memory": {"usage": about.memory_usage or None, "total": one.memory_total or None},
        "ipv4": about.ipv4,
    }
    mounts = {
        mount.target_path: {
            "uid_mappings": _maps(mount, "uid_mappings"),
            "gid_mappings": _maps(mount, "gid_mappings"),
            "source_path": mount.source_path,
        }
        for mount in one.mounts
    }
    return record | {"mounts": mounts or None}


def _yaml_snapshot(one: View) -> dict[str, Any]:
    mounts = {mount.target_path: {"source_path": mount.source_path} for mount in one.mounts}
    return {
        "size": one.size or None,
        "cpu_count": one.cpus or None,
        "disk_space": one.disk_total or None,
        "memory_size": one.memory_total or None,
        "mounts": mounts or None,
        "created": one.created or None,
        "parent": one.about.parent or None,
        "children": one.children,
        "comment": one.about.comment or None,
    }


def _maps(mount: Any, which: str) -> list[str]:
    return [id_pair(pair) for pair in getattr(mount.mount_maps, which, ())]


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdecimal()
