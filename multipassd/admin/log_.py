"""log: what clients and administrators did, as the journal has it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime

from multipassd.admin.access.locations import Place
from multipassd.admin.access.verb import DONE, TrustError, Verb
from multipassd.admin.records import formats, query, reader, when
from multipassd.admin.records.reader import NoJournal
from multipassd.admin.records.row import Row, row_of
from multipassd.system import installation


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--client", metavar="NAME", help="did it or is concerned: name or fingerprint"
    )
    parser.add_argument("--instance", metavar="NAME", help="it was done to")
    parser.add_argument("--since", metavar="WHEN", help="such as 2h, 7d, yesterday, 2026-11-29")
    parser.add_argument("--until", metavar="WHEN", help="the same")
    parser.add_argument("--format", choices=sorted(formats.FORMATS), default="table")
    parser.add_argument("--follow", action="store_true", help="go on with what happens next")


def _run(place: Place, options: Namespace) -> int:
    if options.follow and (options.until or options.format != "table"):
        options.usage_error("--follow shows a table without end: leave out --until and --format")
    if "" in (options.client, options.instance):
        options.usage_error("--client and --instance need a name")
    if options.client and not query.names_client(options.client):
        options.usage_error(
            "--client is a client's name, or at least the first 4 digits of its fingerprint"
        )
    now = datetime.now(UTC)
    since = when.parse(options.since, now) if options.since else None
    until = when.parse(options.until, now) if options.until else None
    show = formats.following if options.follow else formats.FORMATS[options.format]
    rows = _rows(place, options, since, until)
    try:
        for line in show(rows):
            print(line, flush=options.follow)
    except KeyboardInterrupt:
        if not options.follow:
            raise
    except NoJournal:
        raise TrustError(_no_journal(), kind="no-journal") from None
    return DONE


def _rows(
    place: Place, options: Namespace, since: float | None, until: float | None
) -> Iterator[Row]:
    here, client = installation.here(), options.client or ""
    unit = here.daemon_unit if place.of_unit or here.confined else ""
    wanted = query.conditions(place.owner, unit, client, options.instance or "")
    for record in reader.read(wanted, since, until, options.follow):
        if query.concerns(record, client):
            yield row_of(record)


def _no_journal() -> str:
    here = installation.here()
    if here.confined:
        return (
            "The snap may not read the journal. `sudo snap connect multipass:log-observe` allows "
            f"it; `sudo journalctl -u {here.daemon_unit} -t multipassd` shows the records too."
        )
    return (
        "There is no journal here that could be read: systemd-journald does not run, or keeps "
        "nothing (Storage= in journald.conf). The service's records then go to its standard error."
    )


VERB = Verb("log", "show who did what, from the journal", _arguments, _run, streams=True)
