"""The values of the daemon's settings: which there are, their defaults, and what each may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from multipassd.auth import passphrase
from multipassd.system import installation
from multipassd.trust.state import FirstClient
from protocol import settings as names
from protocol.errors import InvalidSetting, UnknownSetting
from protocol.inifile import IniFile
from protocol.roles import NAMES as ROLES

MAX_VALUE = 4096  # characters, and a line is read by people
DRIVERS = frozenset({"qemu"})  # the keys of backend.DRIVERS, which programs without drivers lack
OTHER_DRIVERS = frozenset({"libvirt", "lxd"})  # which 1.16 has and this service does not
_DRIVER_ALIASES = {"hyper-v": "hyperv", "vbox": "virtualbox"}
_BOOLEANS = dict.fromkeys(("true", "on", "yes", "1"), "true") | dict.fromkeys(
    ("false", "off", "no", "0"), "false"
)
FIRST_CLIENTS = (FirstClient.ADMIN.value, FirstClient.NOBODY.value)
_HIDDEN = "…"  # in place of a secret


def _driver(value: str) -> str:
    driver = _DRIVER_ALIASES.get(value.lower(), value.lower())
    if driver in OTHER_DRIVERS:
        raise _why(f"Only qemu can be used; there is no driver for {driver} here")
    if driver not in DRIVERS:
        raise _why("Invalid driver")
    return driver


def _shown(value: str) -> str:
    """Any text, as in 1.16, but nothing that commands the terminal of another user."""
    if not value.replace("\n", "").replace("\t", "").isprintable():
        raise _why("It has characters that can't be shown")
    return value


def _mirror(value: str) -> str:
    if _shown(value) and not value.startswith("https://"):
        raise _why("The hostname of mirror must contain protocol name: https")
    return value if not value or value.endswith("/") else value + "/"


def _serves_as_callers() -> str:
    """In the snap most directories, as the primary's `Home`, could only fail."""
    return "false" if installation.here().confined else "true"


def boolean_word(value: str) -> str | None:
    """ "true" or "false"; None for neither."""
    return _BOOLEANS.get(value.lower())


def _boolean(value: str) -> str:
    word = boolean_word(value)
    if word is None:
        raise _why('Invalid value, try "true" or "false"')
    return word


def _role(value: str) -> str:
    if value not in ROLES:
        raise _why(f"Roles are {' and '.join(sorted(ROLES))}")
    return value


def _first_client(value: str) -> str:
    if value not in FIRST_CLIENTS:
        raise _why(f"It is {' or '.join(FIRST_CLIENTS)}")
    return value


def _record(value: str) -> str:
    if value and not passphrase.is_record(value):
        raise _why("not a passphrase's record")
    return value


def _why(text: str) -> PydanticCustomError:
    # Braces would be taken for a template's.
    return PydanticCustomError("setting", "{why}", {"why": text})


class Values(BaseModel):
    """The settings as they are stored: texts, each by its key."""

    model_config = ConfigDict(validate_assignment=True, extra="ignore", populate_by_name=True)

    bridged_network: Annotated[str, BeforeValidator(_shown), Field(alias=names.BRIDGED_NETWORK)] = (
        ""
    )
    driver: Annotated[str, BeforeValidator(_driver), Field(alias=names.DRIVER)] = "qemu"
    first_client: Annotated[
        str, BeforeValidator(_first_client), Field(alias=names.FIRST_CLIENT)
    ] = "admin"
    mirror: Annotated[str, BeforeValidator(_mirror), Field(alias=names.MIRROR)] = ""
    passphrase: Annotated[
        str, BeforeValidator(_record), Field(alias=names.PASSPHRASE, repr=False)
    ] = ""
    passphrase_role: Annotated[str, BeforeValidator(_role), Field(alias=names.PASSPHRASE_ROLE)] = (
        "admin"
    )
    privileged_mounts: Annotated[
        str, BeforeValidator(_boolean), Field(alias=names.PRIVILEGED_MOUNTS)
    ] = Field(default_factory=_serves_as_callers)
    shared_ssh_key: Annotated[str, BeforeValidator(_boolean), Field(alias=names.SHARED_SSH_KEY)] = (
        "true"
    )
    refuse_expired: Annotated[str, BeforeValidator(_boolean), Field(alias=names.REFUSE_EXPIRED)] = (
        "false"
    )


FIELDS = {str(field.alias): name for name, field in Values.model_fields.items()}


def field(key: str) -> str:
    if key not in FIELDS:
        raise UnknownSetting(key)
    return FIELDS[key]


def validated(values: Values, field: str, key: str, value: str) -> Values:
    shown = _HIDDEN if key in names.SECRET_KEYS else value
    if len(value) > MAX_VALUE:
        raise InvalidSetting(key, value[:40] + _HIDDEN, f"More than {MAX_VALUE} characters")
    changed = values.model_copy()
    try:
        setattr(changed, field, value)
    except ValidationError as error:
        raise InvalidSetting(key, shown, str(error.errors()[0]["msg"])) from None
    return changed


def lenient(ini: IniFile, path: Path) -> tuple[Values, dict[str, str]]:
    """The values that are valid, with the defaults for the others, and what is wrong with those."""
    found: dict[str, Any] = {key: ini.get(key) for key in FIELDS}
    found = {key: value for key, value in found.items() if value is not None}
    try:
        return Values.model_validate(found), {}
    except ValidationError as error:
        wrong = {str(each["loc"][0]): each["msg"] for each in error.errors()}
    warnings = {key: f"{key} in {path} is not used: {why}" for key, why in wrong.items()}
    kept = {key: value for key, value in found.items() if key not in wrong}
    return Values.model_validate(kept), warnings
