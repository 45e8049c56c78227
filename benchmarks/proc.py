"""Memory and processor time as the kernel counts them. Imports nothing: it measures imports."""

KIB_PER_MIB = 1024.0


def pss_mib(pid: int) -> float:
    """Proportional set size: shared pages are divided by the number of processes that map them."""
    return _kib(f"/proc/{pid}/smaps_rollup", "Pss:") / KIB_PER_MIB


def private_mib(pid: int) -> float:
    """Memory that would be free without the process."""
    rollup = f"/proc/{pid}/smaps_rollup"
    return (_kib(rollup, "Private_Clean:") + _kib(rollup, "Private_Dirty:")) / KIB_PER_MIB


def dirty_mib(pid: int) -> float:
    """Private dirty pages: unlike PSS, not affected by other processes with the same libraries."""
    return _kib(f"/proc/{pid}/smaps_rollup", "Private_Dirty:") / KIB_PER_MIB


def rss_mib(pid: int) -> float:
    return _kib(f"/proc/{pid}/status", "VmRSS:") / KIB_PER_MIB


def peak_rss_mib(pid: int) -> float:
    return _kib(f"/proc/{pid}/status", "VmHWM:") / KIB_PER_MIB


def cpu_seconds(pid: int) -> float:
    """What all its threads have used, in user and kernel mode, in steps of 10 ms."""
    import os

    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kib(path: str, field: str) -> int:
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1])
    raise LookupError(f"no {field} in {path}")
