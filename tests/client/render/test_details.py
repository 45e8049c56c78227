"""What `info` prints."""

from __future__ import annotations

import json as library

import pytest

from client.render import details, documents
from client.render.details import Details
from protocol.messages.common import InstanceStatus, SnapshotFundamentals, Timestamp
from protocol.messages.information import DetailedInfoItem, InstanceDetails, SnapshotDetails
from protocol.messages.mounts import IdMap, MountInfo, MountMaps

HASH = "0a1b2c3d4e5f" + "6" * 52
GIB, MIB = 1024**3, 1024**2

PRIMARY = DetailedInfoItem(
    name="primary",
    instance_status=InstanceStatus(status=1),
    memory_total=str(int(961.9 * MIB)),
    disk_total=str(int(4.7 * GIB)),
    cpu_count="2",
    mount_info=MountInfo(
        longest_path_len=13,
        mount_paths=[
            MountInfo.MountPaths(
                source_path="/home/me",
                target_path="Home",
                mount_maps=MountMaps(
                    uid_mappings=[IdMap(host_id=1000, instance_id=-1)],
                    gid_mappings=[IdMap(host_id=1000, instance_id=-1)],
                ),
            ),
            MountInfo.MountPaths(
                source_path="/srv/projects",
                target_path="/data",
                mount_maps=MountMaps(
                    uid_mappings=[
                        IdMap(host_id=1000, instance_id=501),
                        IdMap(host_id=1001, instance_id=502),
                    ],
                    gid_mappings=[IdMap(host_id=1000, instance_id=501)],
                ),
            ),
        ],
    ),
    instance_info=InstanceDetails(
        image_release="24.04 LTS",
        current_release="Ubuntu 24.04.1 LTS",
        id=HASH,
        load="0.10 0.02 0.00",
        memory_usage=str(int(210.4 * MIB)),
        disk_usage=str(int(1.7 * GIB)),
        ipv4=["10.55.0.17", "192.168.7.4"],
        num_snapshots=0,
    ),
)
STOPPED = DetailedInfoItem(
    name="builder",
    instance_status=InstanceStatus(status=4),
    instance_info=InstanceDetails(id=HASH, image_release="22.04 LTS", num_snapshots=1),
)
UNCOUNTED = DetailedInfoItem(
    name="mine", instance_status=InstanceStatus(status=1), instance_info=InstanceDetails(
        ipv4=["N/A"], ipv6=["fe80::1", "fe80::2"])
)  # fmt: skip
SNAPSHOT = DetailedInfoItem(
    name="builder",
    cpu_count="2",
    disk_total="5.0GiB",
    memory_total="1.0GiB",
    mount_info=MountInfo(
        longest_path_len=8,
        mount_paths=[MountInfo.MountPaths(source_path="/home/me", target_path="Home")],
    ),
    snapshot_info=SnapshotDetails(
        fundamentals=SnapshotFundamentals(
            snapshot_name="snapshot1", creation_timestamp=Timestamp(seconds=1_767_690_611)
        )
    ),
)
LATER = DetailedInfoItem(
    name="builder",
    snapshot_info=SnapshotDetails(
        fundamentals=SnapshotFundamentals(
            snapshot_name="another",
            parent="snapshot1",
            comment="one\ntwo",
            creation_timestamp=Timestamp(seconds=1_767_690_999),
        ),
        children=["x", "y"],
        size="3.0MiB",
    ),
)


@pytest.fixture(autouse=True)
def in_utc_and_c(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C")
    time.tzset()


def test_a_running_instance_is_the_documented_block() -> None:
    assert (
        details.table(Details([PRIMARY], ""), False)
        == """\
Name:           primary
State:          Running
Snapshots:      0
IPv4:           10.55.0.17
                192.168.7.4
Release:        Ubuntu 24.04.1 LTS
Image hash:     0a1b2c3d4e5f (Ubuntu 24.04 LTS)
CPU(s):         2
Load:           0.10 0.02 0.00
Disk usage:     1.7GiB out of 4.7GiB
Memory usage:   210.4MiB out of 961.9MiB
Mounts:         /home/me      => Home
                    UID map: 1000:default
                    GID map: 1000:default
                /srv/projects => /data
                    UID map: 1000:501, 1001:502
                    GID map: 1000:501
"""
    )


def test_what_is_not_known_has_dashes_and_what_is_not_sent_no_row() -> None:
    assert (
        details.table(Details([UNCOUNTED], ""), False)
        == """\
Name:           mine
State:          Running
IPv4:           N/A
IPv6:           fe80::1
                fe80::2
Release:        --
Image hash:     Not Available
CPU(s):         --
Load:           --
Disk usage:     --
Memory usage:   --
Mounts:         --
"""
    )


def test_snapshots_follow_instances_by_time() -> None:
    text = details.table(Details([LATER, SNAPSHOT, STOPPED, PRIMARY], "primary"), False)
    names = [line for line in text.splitlines() if line.startswith(("Name:", "Snapshot:"))]
    assert [name.split()[1] for name in names] == ["primary", "builder", "snapshot1", "another"]
    assert text.endswith("""

Snapshot:       another
Instance:       builder
Size:           3.0MiB
CPU(s):         --
Disk space:     --
Memory size:    --
Mounts:         --
Created:        Tue Jan  6 09:16:39 2026 UTC
Parent:         snapshot1
Children:       x
                y
Comment:        one
                two
""")


def test_nothing_found() -> None:
    nothing = Details([], "")
    assert details.table(nothing, False) == "No instances found.\n"
    assert details.table(nothing, True) == "No snapshots found.\n"
    assert details.csv(nothing) == ""
    assert documents.json(nothing) == '{\n    "errors": [\n    ],\n    "info": {\n    }\n}\n'
    assert documents.yaml(nothing) == "errors:\n  - ~\n"


def test_yaml_is_the_documented_example() -> None:
    assert (
        documents.yaml(Details([SNAPSHOT, STOPPED], ""))
        == f"""\
errors:
  - ~
builder:
  - state: Stopped
    snapshot_count: 1
    image_hash: {HASH}
    image_release: 22.04 LTS
    release: ~
    cpu_count: ~
    disks:
      - sda1:
          used: ~
          total: ~
    memory:
      usage: ~
      total: ~
    ipv4:
      []
    mounts: ~
    snapshots:
      - snapshot1:
          size: ~
          cpu_count: 2
          disk_space: 5.0GiB
          memory_size: 1.0GiB
          mounts:
            Home:
              source_path: /home/me
          created: "Tue Jan  6 09:10:11 2026 UTC"
          parent: ~
          children:
            []
          comment: ~
"""
    )


def test_yaml_of_an_image_that_is_no_release() -> None:
    text = documents.yaml(Details([UNCOUNTED], ""))
    assert '    image_hash: ~\n    image_release: ""\n    release: ~\n' in text


def test_yaml_of_a_running_instance() -> None:
    text = documents.yaml(Details([PRIMARY], ""))
    assert "    load:\n      - 0.10\n      - 0.02\n      - 0.00\n" in text
    assert '      Home:\n        uid_mappings:\n          - "1000:default"\n' in text


def test_json_of_instances_and_snapshots() -> None:
    text = documents.json(Details([PRIMARY, STOPPED, SNAPSHOT], ""))
    info = library.loads(text)["info"]
    assert info["primary"] == {
        "state": "Running",
        "snapshot_count": "0",
        "image_hash": HASH,
        "image_release": "24.04 LTS",
        "release": "Ubuntu 24.04.1 LTS",
        "cpu_count": "2",
        "load": [0.1, 0.02, 0],
        "disks": {"sda1": {"used": str(int(1.7 * GIB)), "total": str(int(4.7 * GIB))}},
        "memory": {"used": int(210.4 * MIB), "total": int(961.9 * MIB)},
        "ipv4": ["10.55.0.17", "192.168.7.4"],
        "mounts": {
            "Home": {
                "source_path": "/home/me",
                "uid_mappings": ["1000:default"],
                "gid_mappings": ["1000:default"],
            },
            "/data": {
                "source_path": "/srv/projects",
                "uid_mappings": ["1000:501", "1001:502"],
                "gid_mappings": ["1000:501"],
            },
        },
    }
    assert "            0.02,\n                0\n" in text
    assert info["builder"]["disks"] == {"sda1": {}}
    assert info["builder"]["memory"] == {}
    assert info["builder"]["load"] == []
    snapshot = info["builder"]["snapshots"]["snapshot1"]
    assert snapshot["mounts"] == {"Home": {"source_path": "/home/me"}}
    assert (snapshot["parent"], snapshot["children"], snapshot["size"]) == ("", [], "")
    assert (
        "snapshot_count"
        not in library.loads(documents.json(Details([UNCOUNTED], "")))["info"]["mine"]
    )


def test_csv_of_instances_has_the_count_of_snapshots_last_if_there_is_one() -> None:
    header, *rows = details.csv(Details([STOPPED, PRIMARY], "primary")).splitlines()
    assert header == (
        "Name,State,Ipv4,Ipv6,Release,Image hash,Image release,Load,Disk usage,Disk total,"
        "Memory usage,Memory total,Mounts,AllIPv4,CPU(s),Snapshots"
    )
    assert rows == [
        f"primary,Running,10.55.0.17,,Ubuntu 24.04.1 LTS,{HASH},24.04 LTS,0.10 0.02 0.00,"
        f"{int(1.7 * GIB)},{int(4.7 * GIB)},{int(210.4 * MIB)},{int(961.9 * MIB)},"
        "/home/me => Home;/srv/projects => /data,10.55.0.17;192.168.7.4,2,0",
        f"builder,Stopped,,,,{HASH},22.04 LTS,,,,,,,,,1",
    ]
    assert not details.csv(Details([UNCOUNTED], "")).splitlines()[0].endswith("Snapshots")


def test_csv_of_snapshots() -> None:
    assert details.csv(Details([SNAPSHOT, LATER], "")) == (
        "Snapshot,Instance,CPU(s),Disk space,Memory size,Mounts,Created,Parent,Children,Comment\n"
        "snapshot1,builder,2,5.0GiB,1.0GiB,/home/me => Home,Tue Jan  6 09:10:11 2026 UTC,,,"
        '""\n'
        'another,builder,,,,,Tue Jan  6 09:16:39 2026 UTC,snapshot1,x;y,"one\ntwo"\n'
    )
