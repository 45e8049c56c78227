"""How much people have of what they may have, below the clients of `clients`. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages.trust import Quota

HEADINGS = ("Quota of", "Instances", "CPUs", "Memory", "Disk", "Snapshots", "Networks")


def table(quotas: Sequence[Quota]) -> str:
    """Used and allowed, for each person that has a limit."""
    from client.render import table

    shown = [HEADINGS, *(_row(each) for each in quotas)]
    last = len(HEADINGS) - 1
    widths = [table.automatic([row[column] for row in shown]) for column in range(last)]
    return table.render(shown, widths)


def csv(quotas: Sequence[Quota]) -> list[str]:
    return [",".join(row) for row in (HEADINGS, *(_row(each) for each in quotas))]


def entries(quotas: Sequence[Quota]) -> dict[str, dict[str, dict[str, str]]]:
    """By the name and the kind; sizes in units."""
    return {
        quota.name: {each.kind: {"used": each.used, "limit": each.limit} for each in quota.shares}
        for quota in quotas
    }


def _row(quota: Quota) -> tuple[str, ...]:
    shares = {each.kind: f"{each.used} of {each.limit}" for each in quota.shares}
    from protocol.quotas import KINDS

    return (quota.name, *(shares.get(kind, "") for kind in KINDS))
