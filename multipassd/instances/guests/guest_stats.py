"""What a running guest says of itself: one command prints all of it, one function reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from multipassd.instances.records.record import Record

SECONDS = 10.0
MARK = "--multipass--"
DIGITS = re.compile(r"[0-9]{1,15}")
LOAD = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}")

# Each on its own, so that what one guest lacks costs no other figure.
PARTS = (
    "cat /proc/loadavg",
    "cat /proc/meminfo",
    "df -P -k / | tail -n 1",
    "nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo",
    ". /etc/os-release; printf '%s\\n' \"$PRETTY_NAME\"",
    "cat /proc/uptime",
    "head -n 1 /proc/stat",
)
COMMAND = f"; echo {MARK}; ".join(PARTS)


@dataclass(frozen=True)
class Runtime:
    """Texts as they go to the caller; empty where the guest did not say."""

    load: str = ""
    memory_used: str = ""
    memory_total: str = ""
    disk_used: str = ""
    disk_total: str = ""
    cpus: str = ""
    release: str = ""
    uptime: str = ""
    cpu_times: str = ""

    def completed(self, record: Record) -> Runtime:
        """With what its record knows of it where the guest did not say."""
        return replace(
            self,
            cpus=self.cpus or str(record.cpus),
            memory_total=self.memory_total or str(record.memory),
            disk_total=self.disk_total or str(record.disk),
        )


def read(output: str) -> Runtime:
    """The guest may print anything: what is no figure is left out, and goes to no terminal."""
    parts = [part.strip() for part in output.split(MARK)]
    parts += [""] * len(PARTS)
    load, memory, disk, cpus, release, uptime, times = parts[: len(PARTS)]
    used, total = _memory(memory)
    disk_used, disk_total = _disk(disk)
    return Runtime(
        load=_load(load),
        memory_used=used,
        memory_total=total,
        disk_used=disk_used,
        disk_total=disk_total,
        cpus="" if _number(cpus) is None else cpus,
        release=_line(release, 100),
        uptime=_uptime(uptime),
        cpu_times=_line(times, 200),
    )


def _load(text: str) -> str:
    figures = text.split()[:3]
    return " ".join(figures) if all(LOAD.fullmatch(figure) for figure in figures) else ""


def _memory(text: str) -> tuple[str, str]:
    kibibytes: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number = _number("".join(rest.split()[:1]))
        if number is not None:
            kibibytes[name] = number
    total, available = kibibytes.get("MemTotal"), kibibytes.get("MemAvailable")
    if total is None or available is None or available > total:
        return "", ""
    return str((total - available) * 1024), str(total * 1024)


def _disk(line: str) -> tuple[str, str]:
    fields = line.split()
    if len(fields) < 4:
        return "", ""
    total, used = _number(fields[1]), _number(fields[2])
    if total is None or used is None:
        return "", ""
    return str(used * 1024), str(total * 1024)


def _uptime(text: str) -> str:
    seconds = _number(text.partition(".")[0])
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _number(text: str) -> int | None:
    """Not what `int` takes: that refuses thousands of digits, and reads other scripts' ones."""
    return int(text) if DIGITS.fullmatch(text) else None


def _line(text: str, limit: int) -> str:
    first = text.partition("\n")[0][:limit]
    return first if first.isprintable() else ""
