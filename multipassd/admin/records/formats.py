"""Rows as a table, csv, json or yaml, written as they come: a million of them need no memory."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator

from multipassd.admin.records.row import HEADINGS, Row, cells, user_of

GAP = "  "
FORMULA = ("=", "+", "-", "@")  # beginnings of one
MEASURED = 1000  # rows whose cells set the widths of the columns

Format = Callable[[Iterable[Row]], Iterator[str]]


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines. Later rows than the first 1000 may be wider."""
    coming = map(cells, rows)
    first = [HEADINGS, *itertools.islice(coming, MEASURED)]
    widths = [max(map(len, column)) for column in zip(*first, strict=True)]
    for row in itertools.chain(first, coming):
        yield _line(row, widths)


def following(rows: Iterable[Row]) -> Iterator[str]:
    """A table whose rows are not known yet."""
    widths = (19, 12, 6, 22, 8, 20, 0)
    for row in itertools.chain([HEADINGS], map(cells, rows)):
        yield _line(row, widths)


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    return GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_csv(rows: Iterable[Row]) -> Iterator[str]:
    """Several instances are in one cell, separated by spaces, which no name has. What a spreadsheet
    would take for a formula has a ' before it."""
    yield _csv_line([name.capitalize() for name in Row._fields])
    for row in rows:
        values = {**row._asdict(), "instances": " ".join(row.instances)}.values()
        yield _csv_line(f"'{value}" if str(value)[:1] in FORMULA else value for value in values)


def _csv_line(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def as_json(rows: Iterable[Row]) -> Iterator[str]:
    yield '{"records": ['
    before = ""
    for row in rows:
        if before:
            yield before + ","
        before = "    " + json.dumps(_named(row))
    if before:
        yield before
    yield "]}"


def as_yaml(rows: Iterable[Row]) -> Iterator[str]:
    """JSON's texts and lists are YAML's, too."""
    empty = True
    for row in rows:
        if empty:
            yield "records:"
        empty = False
        for number, (name, value) in enumerate(_named(row).items()):
            yield f"{'  - ' if number == 0 else '    '}{name}: {json.dumps(value)}"
    if empty:
        yield "records: []"


def _named(row: Row) -> dict[str, object]:
    return {**row._asdict(), "instances": list(row.instances), "user": user_of(row)}


FORMATS: dict[str, Format] = {"table": table, "csv": as_csv, "json": as_json, "yaml": as_yaml}
