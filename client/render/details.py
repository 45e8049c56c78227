"""The instances and snapshots of `info`, as a table and as csv. Pure."""

from __future__ import annotations

from client import messages
from client.render.instances import NOT_AVAILABLE, NOTHING, state_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from protocol.messages.common import SnapshotFundamentals, Timestamp
    from protocol.messages.information import DetailedInfoItem, InstanceDetails, SnapshotDetails
    from protocol.messages.mounts import IdMap, MountInfo

LABEL_WIDTH = 16
ID_LENGTH = 12  # digits of an image's id that the table shows
ANY_USER = -1  # in an id map: the instance's login user

INSTANCE_CSV = (
    "Name,State,Ipv4,Ipv6,Release,Image hash,Image release,Load,Disk usage,Disk total,"
    "Memory usage,Memory total,Mounts,AllIPv4,CPU(s)"
)
SNAPSHOT_CSV = (
    "Snapshot,Instance,CPU(s),Disk space,Memory size,Mounts,Created,Parent,Children,Comment"
)


class Details:
    """Instances and snapshots in display order, those of the primary instance first."""

    def __init__(
        self, items: Sequence[DetailedInfoItem], primary: str, verbose: bool = False
    ) -> None:
        """`verbose`: a table shows owners and locations, too, which 1.16's does not."""
        self.verbose = verbose
        views = [View(item) for item in items]
        self.instances = [view for view in views if view.snapshot is None]
        self.snapshots = [view for view in views if view.snapshot is not None]
        self.instances.sort(key=lambda view: (view.name != primary, view.name))
        self.snapshots.sort(key=lambda view: (view.name != primary, view.name, view.created_at))


class View:
    """An item of the reply, with defaults for absent fields."""

    def __init__(self, item: DetailedInfoItem) -> None:
        from protocol.messages.information import InstanceDetails
        from protocol.messages.mounts import MountInfo

        self.name = item.name
        self.state = state_text(item.instance_status)
        self.cpus = item.cpu_count
        self.memory_total = item.memory_total
        self.disk_total = item.disk_total
        self.mount_info: MountInfo = item.mount_info or MountInfo()
        self.instance: InstanceDetails = item.instance_info or InstanceDetails()
        self.snapshot: SnapshotDetails | None = item.snapshot_info

    @property
    def mounts(self) -> list[MountInfo.MountPaths]:
        return self.mount_info.mount_paths

    @property
    def about(self) -> SnapshotFundamentals:
        from protocol.messages.common import SnapshotFundamentals

        found = self.snapshot.fundamentals if self.snapshot else None
        return found or SnapshotFundamentals()

    @property
    def children(self) -> list[str]:
        return self.snapshot.children if self.snapshot else []

    @property
    def size(self) -> str:
        return self.snapshot.size if self.snapshot else ""

    @property
    def created_at(self) -> tuple[int, int]:
        stamp = self.about.creation_timestamp
        return (stamp.seconds, stamp.nanos) if stamp else (0, 0)

    @property
    def created(self) -> str:
        return local_time(self.about.creation_timestamp)


def local_time(stamp: Timestamp | None) -> str:
    """The time in the user's locale and time zone."""
    if stamp is None:
        return ""
    import locale
    import time

    try:
        locale.setlocale(locale.LC_TIME, "")
    except locale.Error:
        pass  # the locale is not installed: use the C locale
    return time.strftime("%c %Z", time.localtime(stamp.seconds))


def table(found: Details, snapshots: bool) -> str:
    blocks = ["".join(_instance(view, found.verbose)) for view in found.instances]
    blocks += ["".join(_snapshot(view)) for view in found.snapshots]
    nothing = messages.NO_SNAPSHOTS if snapshots else messages.NO_INSTANCES
    return "\n".join(blocks) or nothing + "\n"


def _instance(view: View, verbose: bool) -> Iterator[str]:
    about = view.instance
    yield _row("Name:", view.name)
    if verbose:
        yield _row("Owner:", about.owner)
    if verbose and about.location:
        yield _row("Location:", about.location)
    if verbose and about.reached:
        yield _row("Reached:", about.reached)
    yield _row("State:", view.state)
    if about.num_snapshots is not None:
        yield _row("Snapshots:", str(about.num_snapshots))
    yield _row("IPv4:", *about.ipv4)
    if about.ipv6:
        yield _row("IPv6:", *about.ipv6)
    yield _row("Release:", about.current_release)
    yield _row("Image hash:", _image(about))
    yield _row("CPU(s):", view.cpus)
    yield _row("Load:", about.load)
    yield _row("Disk usage:", usage(about.disk_usage, view.disk_total))
    yield _row("Memory usage:", usage(about.memory_usage, view.memory_total))
    yield _row("Mounts:", *_mounts(view, maps=True))


def _snapshot(view: View) -> Iterator[str]:
    yield _row("Snapshot:", view.about.snapshot_name)
    yield _row("Instance:", view.name)
    if view.size:
        yield _row("Size:", view.size)
    yield _row("CPU(s):", view.cpus)
    yield _row("Disk space:", view.disk_total)
    yield _row("Memory size:", view.memory_total)
    yield _row("Mounts:", *_mounts(view, maps=False))
    yield _row("Created:", view.created)
    yield _row("Parent:", view.about.parent)
    yield _row("Children:", *view.children)
    yield _row("Comment:", *view.about.comment.split("\n"))


def _row(label: str, *values: str) -> str:
    """One line for each value, the label before the first."""
    shown = values if any(values) else (NOTHING,)
    labels = (label, *("" for _ in shown[1:]))
    return "".join(
        f"{head:<{LABEL_WIDTH}}{value}".rstrip() + "\n"
        for head, value in zip(labels, shown, strict=True)
    )


def _image(about: InstanceDetails) -> str:
    if not about.id:
        return NOT_AVAILABLE
    release = f" (Ubuntu {about.image_release})" if about.image_release else ""
    return about.id[:ID_LENGTH] + release


def usage(used: str, total: str) -> str:
    """Used and total, empty unless both are known."""
    if not (used.isdecimal() and total.isdecimal()):
        return ""
    from protocol import sizes

    return f"{sizes.human(int(used))} out of {sizes.human(int(total))}"


def _mounts(view: View, maps: bool) -> Iterator[str]:
    width = view.mount_info.longest_path_len
    for mount in view.mounts:
        yield f"{mount.source_path:<{width}} => {mount.target_path}"
        if maps and mount.mount_maps is not None:
            for label, pairs in (
                ("UID map: ", mount.mount_maps.uid_mappings),
                ("GID map: ", mount.mount_maps.gid_mappings),
            ):
                if pairs:
                    yield "    " + label + ", ".join(map(id_pair, pairs))


def id_pair(pair: IdMap) -> str:
    inside = "default" if pair.instance_id == ANY_USER else str(pair.instance_id)
    return f"{pair.host_id}:{inside}"


def csv(found: Details) -> str:
    """Empty without entries: the header depends on what is shown."""
    if found.instances:
        counted = found.instances[0].instance.num_snapshots is not None
        located = any(view.instance.location for view in found.instances)
        header = INSTANCE_CSV + (",Snapshots" if counted else "") + (",Location" if located else "")
        lines = [header, *(_instance_cells(view, counted, located) for view in found.instances)]
    elif found.snapshots:
        lines = [SNAPSHOT_CSV, *(_snapshot_cells(view) for view in found.snapshots)]
    else:
        return ""
    return "".join(f"{line}\n" for line in lines)


def _instance_cells(view: View, counted: bool, located: bool) -> str:
    about = view.instance
    cells = [
        view.name,
        view.state,
        about.ipv4[0] if about.ipv4 else "",
        about.ipv6[0] if about.ipv6 else "",
        about.current_release,
        about.id,
        about.image_release,
        about.load,
        about.disk_usage,
        view.disk_total,
        about.memory_usage,
        view.memory_total,
        _joined_mounts(view),
        ";".join(about.ipv4),
        view.cpus,
    ]
    if counted:
        cells.append(str(about.num_snapshots or 0))
    if located:
        cells.append(about.location)
    return ",".join(cells)


def _snapshot_cells(view: View) -> str:
    cells = (
        view.about.snapshot_name,
        view.name,
        view.cpus,
        view.disk_total,
        view.memory_total,
        _joined_mounts(view),
        view.created,
        view.about.parent,
        ";".join(view.children),
        f'"{view.about.comment}"',
    )
    return ",".join(cells)


def _joined_mounts(view: View) -> str:
    return ";".join(f"{mount.source_path} => {mount.target_path}" for mount in view.mounts)
