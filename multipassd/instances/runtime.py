"""What a running guest says of itself: one command prints all of it, one function reads it."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 10.0
MARK = "--multipass--"

# Each part on its own, so that what one guest lacks costs no other figure.
COMMAND = f"; echo {MARK}; ".join(
    (
        "cat /proc/loadavg",
        "cat /proc/meminfo",
        "df -P -k / | tail -n 1",
        "nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo",
        ". /etc/os-release; printf '%s\\n' \"$PRETTY_NAME\"",
        "cat /proc/uptime",
        "head -n 1 /proc/stat",
    )
)


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


def read(output: str) -> Runtime:
    """Lenient: the guest may print anything."""
    parts = [part.strip() for part in output.split(MARK)]
    parts += [""] * (7 - len(parts))
    load, memory, disk, cpus, release, uptime, times = parts[:7]
    used, total = _memory(memory)
    disk_used, disk_total = _disk(disk)
    return Runtime(
        load=" ".join(load.split()[:3]),
        memory_used=used,
        memory_total=total,
        disk_used=disk_used,
        disk_total=disk_total,
        cpus=cpus if cpus.isdecimal() else "",
        release=release.partition("\n")[0][:100],
        uptime=_uptime(uptime),
        cpu_times=times.partition("\n")[0][:200],
    )


def _memory(text: str) -> tuple[str, str]:
    kibibytes: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdecimal():
            kibibytes[name] = int(number[0])
    total, available = kibibytes.get("MemTotal"), kibibytes.get("MemAvailable")
    if total is None or available is None:
        return "", ""
    return str((total - available) * 1024), str(total * 1024)


def _disk(line: str) -> tuple[str, str]:
    fields = line.split()
    if len(fields) < 4 or not (fields[1].isdecimal() and fields[2].isdecimal()):
        return "", ""
    return str(int(fields[2]) * 1024), str(int(fields[1]) * 1024)


def _uptime(text: str) -> str:
    seconds = text.partition(".")[0]
    if not seconds.isdecimal() or len(seconds) > 12:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
