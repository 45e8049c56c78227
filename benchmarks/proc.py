"""Memory as the kernel counts it. Imports nothing, so that it can weigh what others import."""

KIB_PER_MIB = 1024.0


def pss_mib(pid: int) -> float:
    """The memory of a process, with what it shares divided by those who share it."""
    return _kib(f"/proc/{pid}/smaps_rollup", "Pss:") / KIB_PER_MIB


def private_mib(pid: int) -> float:
    """The part that ending the process would free."""
    rollup = f"/proc/{pid}/smaps_rollup"
    return (_kib(rollup, "Private_Clean:") + _kib(rollup, "Private_Dirty:")) / KIB_PER_MIB


def dirty_mib(pid: int) -> float:
    """What the process wrote itself: unlike PSS it does not change when a stranger that maps the
    same libraries comes or goes."""
    return _kib(f"/proc/{pid}/smaps_rollup", "Private_Dirty:") / KIB_PER_MIB


def rss_mib(pid: int) -> float:
    return _kib(f"/proc/{pid}/status", "VmRSS:") / KIB_PER_MIB


def peak_rss_mib(pid: int) -> float:
    return _kib(f"/proc/{pid}/status", "VmHWM:") / KIB_PER_MIB


def _kib(path: str, field: str) -> int:
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1])
    raise LookupError(f"no {field} in {path}")
