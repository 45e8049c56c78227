"""Quotas as the settings file has them. Pure."""

from __future__ import annotations

from multipassd.trust import names
from protocol import quotas
from protocol.errors import InvalidSetting, UnknownSetting
from protocol.inifile import IniFile

Limits = dict[str, int | None]  # by key; None: no limit
NOTHING = 0  # what an unreadable value allows, as more could be more than was meant


def read(ini: IniFile) -> tuple[Limits, dict[str, str]]:
    """The limits that are set, and what is wrong with those that can't be read, by key."""
    found: Limits = {}
    wrong = {}
    written = ini.keys()
    for text in written:
        key = quotas.read_key(text)
        value = ini.get(text) or ""
        if key is None or not value:
            continue
        try:
            found[text] = quotas.parse(key.kind, value)
        except ValueError as error:
            found[text] = NOTHING
            wrong[text] = f"{text} counts as {NOTHING}: {error}"
    return found, wrong


def checked(text: str, value: str) -> str:
    """The value as it is stored; empty: back to the default. Raises UnknownSetting,
    InvalidSetting."""
    key = _key(text)
    if not value:
        return ""
    try:
        return quotas.show(key.kind, quotas.parse(key.kind, value))
    except ValueError as error:
        raise InvalidSetting(text, value, str(error)) from None


def show(text: str, limits: Limits) -> str:
    """What holds by this key: a person's may be empty, as its role's then holds. Raises
    UnknownSetting."""
    key = _key(text)
    if text in limits:
        return quotas.show(key.kind, limits[text])
    if key.role is None:
        return ""
    return quotas.show(key.kind, quotas.DEFAULTS[key.role].get(key.kind))


def _key(text: str) -> quotas.Key:
    """Raises UnknownSetting."""
    key = quotas.read_key(text)
    if key is None or (key.role is None and not _may_be_a_name(key.who)):
        raise UnknownSetting(text)
    return key


def _may_be_a_name(who: str) -> bool:
    return not names.complaint(who) or who == names.ROOT or bool(names.MADE.fullmatch(who))
