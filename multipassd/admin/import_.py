"""import: take over who is trusted, the settings and the passphrase of a 1.16 installation.

Reads there, writes here. What is set here already stays.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from multipassd.admin.access.locations import Place, actor, certificates_in, read_store
from multipassd.admin.access.store_access import open_store, say
from multipassd.admin.access.verb import DONE, TrustError, Verb, add_repair
from multipassd.admin.add import Candidate, enrol
from multipassd.audit.trail import Audit
from multipassd.instances.records import earlier_installation
from multipassd.settings.settings import Settings
from multipassd.trust import pem_text
from protocol import certificates, places
from protocol.errors import RpcError
from protocol.settings import DAEMON_KEYS, PASSPHRASE, SECRET_KEYS

HOW = "import"
CONFIGURATION = "multipassd/multipassd.conf"

# What DIR may be: how its path ends, then data and settings as seen from it. Upwards only from
# where 1.16 is known to have it so: anywhere else would lead to files of something else.
LAYOUTS = (
    ("", ".", "."),  # a copy that someone made by hand
    ("", "data", "."),  # what MULTIPASS_STORAGE named
    ("", ".local/share/multipassd", ".config"),  # /root
    ("", "common/data/multipassd", "current/config"),  # /var/snap/multipass
    (".local/share/multipassd", ".", "../../../.config"),
    ("common/data/multipassd", ".", "../../../current/config"),
    ("multipass/common", "data/multipassd", "../current/config"),
)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "directory", type=Path, metavar="DIR",
        help="the other installation's data, such as /var/snap/multipass or /root",
    )  # fmt: skip
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="its multipassd.conf, if that is elsewhere"
    )
    add_repair(parser)


def _run(place: Place, options: Namespace) -> int:
    stores, settings = _find(options.directory)
    settings = options.settings or settings
    if options.settings and not options.settings.exists():
        raise TrustError(f"There are no settings at {options.settings}. Nothing was changed.")
    if stores is None and settings is None:
        raise TrustError(
            f"{options.directory} holds neither a trust store ({places.TRUST_STORE}) nor settings "
            "(multipassd.conf) of Multipass. Name its data directory, and the settings with "
            "--settings."
        )
    if stores is not None and _same(stores, place.store_path):
        raise TrustError(f"{options.directory} is this very installation.")
    candidates = [] if stores is None else _clients(stores)
    taken = None if settings is None else _readable(settings)
    store = open_store(place, options.repair, options.dry_run)
    print(f"Trust store: {stores or 'none found'}")
    enrol(place, store, candidates, HOW, options.dry_run)
    print(f"Settings: {settings or 'none found (name them with --settings)'}")
    if taken is not None:
        _take_over(taken, Settings(place.settings), options.dry_run)
    if stores is not None and (left := earlier_installation.warning(stores.parent.parent)):
        print(left)
    return DONE


def _find(directory: Path) -> tuple[Path | None, Path | None]:
    """The trust store and the settings, each where it is first found."""
    directory = Path(os.path.abspath(directory))
    layouts = [each[1:] for each in LAYOUTS if f"{directory}/".endswith(f"{each[0]}/")]
    settings = [directory / Path(CONFIGURATION).name]
    settings += [directory / each / CONFIGURATION for _, each in layouts]
    return _first([directory / each / places.TRUST_STORE for each, _ in layouts]), _first(settings)


def _first(paths: list[Path]) -> Path | None:
    """The first that exists, of any file type: a bad one is refused later, with a reason."""
    return next((path for path in paths if path.is_symlink() or path.exists()), None)


def _same(path: Path, other: Path) -> bool:
    return other.exists() and path.exists() and path.samefile(other)


def _clients(path: Path) -> list[Candidate]:
    """Raises TrustError when the file is not one to believe."""
    try:
        data = read_store(path, os.geteuid())
    except OSError as error:
        raise TrustError(
            f"{path} is refused: {error.strerror or error}. Nothing was changed."
        ) from error
    contents = pem_text.parse(data, frozenset(), certificates.check)
    for problem in _unread(contents):
        print(f"Not everything in {path} could be read: {problem}.")
    found = certificates_in(data)
    return [Candidate(der, "") for who, der in found.items() if who in contents.fingerprints]


def _unread(contents: pem_text.Contents) -> list[str]:
    problems = list(contents.problems)
    if contents.torn is not None:
        problems.append(f"line {contents.torn_line}: a certificate that is cut off")
    if not contents.fingerprints:
        problems.append("it is empty" if contents.blank else "it holds no valid certificate")
    return problems


def _readable(path: Path) -> Settings:
    settings = Settings(path)
    if settings.problem:
        raise TrustError(f"{settings.problem} Nothing was changed.")
    for warning in settings.warnings:
        print(warning)
    return settings


def _take_over(source: Settings, target: Settings, dry_run: bool) -> None:
    for key, default in DAEMON_KEYS.items():
        value, present = _value(source, key), _value(target, key)
        shown = "the passphrase" if key in SECRET_KEYS else f"{key}={value}"
        if value in (default, present):
            continue
        if present != default:
            print(f"Kept what is set here, instead of {shown}.")
        elif dry_run:
            say(f"Take over {shown}.", dry_run)
        else:
            _set(target, key, value)
            Audit().changed(key, actor())
            print(f"Took over {shown}.")


def _value(settings: Settings, key: str) -> str:
    return settings.passphrase_record() if key == PASSPHRASE else settings.get(key)


def _set(target: Settings, key: str, value: str) -> None:
    try:
        target.set(key, value)
    except RpcError as error:
        raise TrustError(str(error.message)) from error


VERB = Verb("import", "take over an installation of 1.16, changing nothing there", _arguments, _run)
