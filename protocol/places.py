"""Where files lie: functions of the environment only, so that both programs agree. Pure.

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


def _snap_common(environ: Environ) -> str:
    return environ.get("SNAP_COMMON") or "/var/snap/multipass/common"


def default_socket(environ: Environ) -> str:
    if in_snap(environ):
        return f"{_snap_common(environ)}/multipass_socket"
    return "/run/multipass_socket"


def root_certificates(environ: Environ) -> list[str]:
    """The places where the service's root certificate may lie, the one that counts first."""
    if named := environ.get("MULTIPASS_ROOT_CERT"):
        return [named]
    return [
        f"{_snap_common(environ)}/data/multipassd/{ROOT_CERTIFICATE}",
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


def _snap_user_data(environ: Environ, home: str) -> str:
    return f"{environ.get('SNAP_REAL_HOME') or home}/snap/multipass/current"


# -- the daemon's ---------------------------------------------------------------------------------


def daemon_data_directory(environ: Environ) -> str:
    if storage := environ.get("MULTIPASS_STORAGE"):
        return f"{storage}/data"
    if in_snap(environ):
        return f"{_snap_common(environ)}/data/multipassd"
    return f"{_home(environ)}/.local/share/multipassd"


def daemon_settings_file(environ: Environ) -> str:
    if in_snap(environ):
        # What all revisions share: with 1.16's place, `snap revert` would bring an old passphrase
        # back.
        return f"{_snap_common(environ)}/config/multipassd/multipassd.conf"
    base = environ.get("DAEMON_CONFIG_HOME") or f"{_home(environ)}/.config"
    return f"{base}/multipassd/multipassd.conf"


def earlier_settings_file(environ: Environ) -> str | None:
    """Where the snap of 1.16 keeps the daemon's settings, a file for each revision."""
    if not in_snap(environ):
        return None
    return f"{_snap_data(environ)}/config/multipassd/multipassd.conf"


def snap_options_file(environ: Environ) -> str | None:
    """What `snap set multipass` has set, for the daemon's start. Of one revision, as snapd itself
    keeps what was set and brings it back on a revert."""
    return f"{_snap_data(environ)}/options.json" if in_snap(environ) else None


def _snap_data(environ: Environ) -> str:
    return environ.get("SNAP_DATA") or "/var/snap/multipass/current"


def daemon_root_certificate(environ: Environ) -> str:
    """Where the daemon writes its root certificate for clients to read."""
    if named := environ.get("MULTIPASS_ROOT_CERT"):
        return named
    if in_snap(environ):
        return f"{daemon_data_directory(environ)}/{ROOT_CERTIFICATE}"
    if environ.get("MULTIPASS_STORAGE") == STATE_DIRECTORY:
        return f"{STATE_DIRECTORY}/{ROOT_CERTIFICATE}"
    return f"{LEGACY_DIRECTORY}/{ROOT_CERTIFICATE}"


def machines_directory(environ: Environ) -> str:
    """Instances' disks and images, which the hypervisor's user must be able to reach."""
    if storage := environ.get("MULTIPASS_STORAGE"):
        return storage
    if in_snap(environ):
        return _snap_common(environ)
    return daemon_data_directory(environ)


def _home(environ: Environ) -> str:
    return environ.get("HOME") or "/root"
