import pytest

from multipassd.instances.guests import guest_stats
from multipassd.instances.guests.guest_stats import MARK, Runtime

MEMORY = "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB"
PARTS = [
    "0.10 0.20 0.30 1/99 1234",
    MEMORY,
    "/dev/vda1 2000 500 1500 25% /",
    "2",
    "Ubuntu 24.04.1 LTS",
    "3661.07 100.0",
    "cpu  1 2 3 4",
]


def said(*parts: str) -> Runtime:
    return guest_stats.read(f"\n{MARK}\n".join(parts))


def test_all_figures_are_read() -> None:
    assert said(*PARTS) == Runtime(
        load="0.10 0.20 0.30",
        memory_used=str(600 * 1024),
        memory_total=str(1000 * 1024),
        disk_used=str(500 * 1024),
        disk_total=str(2000 * 1024),
        cpus="2",
        release="Ubuntu 24.04.1 LTS",
        uptime="1:01:01",
        cpu_times="cpu  1 2 3 4",
    )


def test_what_a_guest_lacks_costs_no_other_figure() -> None:
    parts = list(PARTS)
    parts[1] = parts[4] = ""
    found = said(*parts)
    assert (found.memory_used, found.release) == ("", "")
    assert (found.load, found.cpus, found.uptime) == ("0.10 0.20 0.30", "2", "1:01:01")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 1000,
        MARK * 500,
        "9" * 60000,
        "\x1b]0;owned\x07\x1b[2J",
        "٣ ٣ ٣ ٣",
        "nan nan nan",
        "-1 -2 -3 -4",
        "1e9 1e9 1e9",
        "MemTotal: 1 kB\nMemAvailable: 99 kB",
        "MemTotal: 99999999999999999999999 kB\nMemAvailable: 1 kB",
    ],
)
def test_what_is_no_figure_is_left_out(text: str) -> None:
    """In every place at once: nothing of it reaches a terminal or a script's arithmetic."""
    found = said(*[text] * 7)
    figures = (
        found.load,
        found.memory_used,
        found.memory_total,
        found.disk_used,
        found.disk_total,
        found.cpus,
        found.uptime,
    )
    assert figures == ("",) * 7
    assert found.release.isprintable() and len(found.release) <= 100
    assert found.cpu_times.isprintable() and len(found.cpu_times) <= 200
