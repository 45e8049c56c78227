"""The instances and snapshots of `info`, as json and as yaml. Pure."""

from __future__ import annotations

from client.render.details import id_pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from client.render.details import Details, View
    from protocol.messages.information import InstanceDetails

DISK = "sda1"  # the name that 1.16 shows, in any guest


def json(found: Details) -> str:
    from client.render.json import render

    info: dict[str, dict[str, Any]] = {view.name: _json_instance(view) for view in found.instances}
    for view in found.snapshots:
        record = _json_snapshot(view)
        info.setdefault(view.name, {}).setdefault("snapshots", {})[view.about.snapshot_name] = (
            record
        )
    return render({"errors": [], "info": info})


def _json_instance(view: View) -> dict[str, Any]:
    about = view.instance
    disk = {"used": about.disk_usage, "total": view.disk_total}
    memory = {"used": about.memory_usage, "total": view.memory_total}
    record: dict[str, Any] = {
        "state": view.state,
        "image_hash": about.id,
        "image_release": about.image_release,
        "release": about.current_release,
        "cpu_count": view.cpus,
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
            for mount in view.mounts
        },
    }
    if about.num_snapshots is not None:
        record["snapshot_count"] = str(about.num_snapshots)
    return record | _own_keys(about)


def _own_keys(about: InstanceDetails) -> dict[str, str]:
    """None of 1.16's keys, so only where there is something to say."""
    own = {"owner": about.owner, "location": about.location, "reached": about.reached}
    return {key: value for key, value in own.items() if value}


def _json_snapshot(view: View) -> dict[str, Any]:
    return {
        "size": view.size,
        "cpu_count": view.cpus,
        "disk_space": view.disk_total,
        "memory_size": view.memory_total,
        "created": view.created,
        "parent": view.about.parent,
        "comment": view.about.comment,
        "mounts": {mount.target_path: {"source_path": mount.source_path} for mount in view.mounts},
        "children": view.children,
    }


def yaml(found: Details) -> str:
    from client.render.yaml import render

    document: dict[str, Any] = {"errors": [None]}
    entries: dict[str, dict[str, Any]] = {
        view.name: _yaml_instance(view) for view in found.instances
    }
    for view in found.snapshots:
        listed = entries.setdefault(view.name, {}).setdefault("snapshots", [])
        listed.append({view.about.snapshot_name: _yaml_snapshot(view)})
    return render(document | {name: [entry] for name, entry in entries.items()})


def _yaml_instance(view: View) -> dict[str, Any]:
    about = view.instance
    record: dict[str, Any] = {"state": view.state}
    if about.num_snapshots is not None:
        record["snapshot_count"] = about.num_snapshots
    record |= {
        "image_hash": about.id or None,
        "image_release": about.image_release,
        "release": about.current_release or None,
        "cpu_count": view.cpus or None,
    }
    if about.load:
        record["load"] = about.load.split()
    record |= {
        "disks": [{DISK: {"used": about.disk_usage or None, "total": view.disk_total or None}}],
        "memory": {"usage": about.memory_usage or None, "total": view.memory_total or None},
        "ipv4": about.ipv4,
    }
    mounts = {
        mount.target_path: {
            "uid_mappings": _maps(mount, "uid_mappings"),
            "gid_mappings": _maps(mount, "gid_mappings"),
            "source_path": mount.source_path,
        }
        for mount in view.mounts
    }
    record |= _own_keys(about)
    return record | {"mounts": mounts or None}


def _yaml_snapshot(view: View) -> dict[str, Any]:
    mounts = {mount.target_path: {"source_path": mount.source_path} for mount in view.mounts}
    return {
        "size": view.size or None,
        "cpu_count": view.cpus or None,
        "disk_space": view.disk_total or None,
        "memory_size": view.memory_total or None,
        "mounts": mounts or None,
        "created": view.created or None,
        "parent": view.about.parent or None,
        "children": view.children,
        "comment": view.about.comment or None,
    }


def _maps(mount: Any, which: str) -> list[str]:
    return [id_pair(pair) for pair in getattr(mount.mount_maps, which, ())]


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdecimal()
