"""Paths that the client and the daemon have to agree on, as functions of the environment. Pure.

`environ` is a mapping such as os.environ. Paths are plain strings: pathlib costs the CLI 8 ms.
"""

from __future__ import annotations

TYPE_CHECKING = False  # collections.abc costs each command 1 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

    Environ = Mapping[str, str]

ROOT_CERTIFICATE = "multipass_root_cert.pem"
TRUST_STORE = "authenticated-certs/multipass_client_certs.pem"
STATE_DIRECTORY = "/var/lib/multipassd"  # this project's packages
LEGACY_DIRECTORY = "/usr/local/etc/multipassd"  # Multipass 1.16 built from source


def in_snap(environ: Environ) -> bool:
    return environ.get("SNAP_NAME") == "multipass"


def snap_common(environ: Environ) -> str:
    return environ.get("SNAP_COMMON") or "/var/snap/multipass/common"


def default_socket(environ: Environ) -> str:
    if in_snap(environ):
        return f"{snap_common(environ)}/multipass_socket"
    return "/run/multipass_socket"


def root_certificates(environ: Environ) -> list[str]:
    """The places where the service's root certificate may lie, the one that counts first."""
    if named := environ.get("MULTIPASS_ROOT_CERT"):
        return [named]
    return [
        f"{snap_common(environ)}/data/multipassd/{ROOT_CERTIFICATE}",
        f"{STATE_DIRECTORY}/{ROOT_CERTIFICATE}",
        f"{LEGACY_DIRECTORY}/{ROOT_CERTIFICATE}",
    ]


# -- the client's ---------------------------------------------------------------------------------


def client_certificate_directory(environ: Environ, home: str) -> str:
    if in_snap(environ):
        return f"{_snap_user_data(environ, home)}/data/multipass-client-certificate"
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return f"{data}/multipass-client-certificate"


def client_settings_file(environ: Environ, home: str) -> str:
    if in_snap(environ):
        return f"{_snap_user_data(environ, home)}/config/multipass/multipass.conf"
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return f"{config}/multipass/multipass.conf"


def client_alias_file(environ: Environ, home: str) -> str:
    directory = client_settings_file(environ, home).rpartition("/")[0]
    return f"{directory}/multipass_aliases.json"


def client_remotes_file(environ: Environ, home: str) -> str:
    directory = client_settings_file(environ, home).rpartition("/")[0]
    return f"{directory}/multipass_remotes.json"


def client_alias_scripts(environ: Environ, home: str) -> str:
    """The directory of the scripts that run aliases, for the user's PATH."""
    if in_snap(environ):
        home = environ.get("SNAP_REAL_HOME") or home
        common = environ.get("SNAP_USER_COMMON") or f"{home}/snap/multipass/common"
        return f"{common}/bin"
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return f"{data}/multipass/bin"


def alias_script_runs(environ: Environ) -> str:
    """What starts the client in such a script; empty for the client's own path."""
    return "exec /usr/bin/snap run multipass" if in_snap(environ) else ""


def _snap_user_data(environ: Environ, home: str) -> str:
    return f"{environ.get('SNAP_REAL_HOME') or home}/snap/multipass/current"
