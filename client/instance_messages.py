"""User-visible messages about instances; all others are in `client/messages.py`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# -- which instances ------------------------------------------------------------------------------

NAME_OR_ALL = "Name argument or --all is required"
PRIMARY_DISABLED = "Note: the primary instance is disabled."
NO_PRIMARY_FOR_SHELL = "The primary instance is disabled, please provide an instance name."


def name_with_all(count: int) -> str:
    return f"Cannot specify {'name' if count == 1 else 'names'} when --all option set"


# -- launching, starting, stopping ----------------------------------------------------------------

LAUNCH_TIMED_OUT = "Timed out waiting for instance launch."
START_TIMED_OUT = "Timed out waiting for instance to start."
RESTART_TIMED_OUT = "Timed out waiting for instance to restart."
TIMED_OUT_HINT = (
    "It may still be starting: `multipass list` shows its state, and `multipass info -v` what it "
    "printed while it booted, or what else keeps it from answering."
)
LAUNCH_TIMED_OUT_HINT = (
    "The launch goes on: `multipass list` shows the instance once its image is there, and "
    "`multipass info -v` what it printed while it booted. If it fails, the service's log says why."
)
LAUNCH_TOO_MANY = "Too many arguments supplied"
MOVE_ARGUMENTS = "Name the instance to move and the host of the cluster"
BAD_IMAGE_NAME = "Invalid remote and source image name supplied"


def unexpanded_home(url: str) -> str:
    return f"A URL needs the whole path, as shells don't replace ~ within one. Write {url}"


def path_instead_of_url(path: str, url: str) -> str:
    return f"{path} is the path of a file, not the name of an image. To launch that, write {url}"


TWO_MEMORIES = (
    "Error: invalid option(s) used for memory allocation. "
    'Please use "--memory" to specify amount of memory to allocate.'
)
MEM_DEPRECATED = (
    'Warning: the "--mem" long option is deprecated in favour of "--memory". '
    "Please update any scripts, etc."
)
NETWORK_WITHOUT_NAME = "error: Bad network definition, need at least a 'name' field"
INSTANCES_MISSING = "instance(s) missing"
TIME_WITH_CANCEL = "Cannot set 'time' and 'cancel' options at the same time"
FORCE_WITH_OTHERS = "Cannot set 'force' along with 'time' or 'cancel' options at the same time"
TIME_IN_DIGITS = "Time must be in digit form"
FORCE_HINT = "Use --force to power it off."
PURGE_HINT = "Use --purge to forcefully delete it."


def moving(name: str, member: str) -> str:
    return f"Moving {name} to {member}"


def moved(name: str, member: str) -> str:
    return f"Moved: {name} to {member}"


def launched(name: str) -> str:
    return f"Launched: {name}"


def invalid_cpus(given: str) -> str:
    return f"Error: invalid CPU count '{given}', need a positive integer value."


def bad_network_mode(mode: str) -> str:
    return f"error: Bad network mode '{mode}', need 'auto' or 'manual'"


def bad_mac_address(address: str) -> str:
    return f"error: Invalid MAC address: {address}"


def bad_network_field(name: str) -> str:
    return f"error: Bad network field: {name}"


def bad_network_definition(field: str) -> str:
    return f"error: Bad network field definition: {field}"


def bad_cloud_init(why: str) -> str:
    return f"Could not load cloud-init configuration: {why}"


def unreadable_cloud_init(path: str, why: str) -> str:
    return bad_cloud_init(f"bad file: {path}\nPlease ensure that Multipass can read it.\n{why}")


NO_YAML = "the Python package yaml is missing"
NO_YAML_HINT = "Install it, for example with `sudo apt install python3-yaml`."
CLOUD_INIT_TOO_LARGE = "it is larger than 1 MiB"
CLOUD_INIT_EMPTY = "it is empty, or has nothing but comments"
CLOUD_INIT_NO_TEXT = "it is not UTF-8 text"


def invalid_disk(size: str) -> str:
    return (
        f"Invalid disk size value supplied: {size}.\n"
        "A disk has at least 512M, and no less than its image."
    )


def invalid_memory(size: str) -> str:
    return f"Invalid memory size value supplied: {size}.\nAn instance needs at least 128M."


def invalid_name(name: str) -> str:
    return (
        f"Invalid instance name supplied: {name}\n"
        "A name is made of letters, digits and inner hyphens; it begins with a letter and has at "
        "most 63 characters."
    )


def invalid_network(bridge_missing: bool) -> str:
    what_to_do = (
        "A bridge is created only after a user at a terminal has agreed to it."
        if bridge_missing
        else "`multipass networks` lists the names that --network takes."
    )
    return f"Invalid network options supplied\n{what_to_do}"


def time_left(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02} left"


def does_not_exist(name: str) -> str:
    return f"Instance '{name}' does not exist."


def is_deleted(name: str) -> str:
    return (
        f"Instance '{name}' is deleted. "
        "Use 'recover' to recover it or 'purge' to permanently delete it."
    )


def failed_unexpectedly(name: str) -> str:
    return f"Instance '{name}' failed in an unexpected way, check logs for more information."


# -- deleting -------------------------------------------------------------------------------------

PURGE_QUESTION = (
    "Snapshots can only be purged (after deletion, they cannot be recovered). "
    "Are you sure you want to continue? (Yes/no): "
)
ANSWER_YES_NO_CAPITAL = "Please answer Yes/no: "


def cannot_confirm_purge(snapshots: Sequence[str], instances: Sequence[str]) -> str:
    text = (
        "Snapshots can only be purged (after deletion, they cannot be recovered). Unable to query "
        "client for confirmation. Please use the `--purge` flag if that is what you want"
    )
    if not instances:
        return f"{text}."
    return (
        f"{text}:\n\n    multipass delete --purge {' '.join(snapshots)}\n\n"
        "and delete the instances on their own:\n\n"
        f"    multipass delete {' '.join(instances)}\n"
    )


# -- inside an instance ---------------------------------------------------------------------------

TEXT_OR_JSON = "--format is text or json"
WRONG_NUMBER = "Wrong number of arguments"
DIRECTORIES_CLASH = "Options --working-directory and --no-map-working-directory clash"
EXEC_OPTIONS = (
    'Options to the inner command should come after "--", like this:\n'
    "multipass exec <instance> -- <command> <arguments>"
)
NOT_PINNED = "the service does not provide host keys: the instance's is not verified"
NO_SSH = "the program ssh is missing"
NO_SSH_HINT = "Install OpenSSH's client, for example with `sudo apt install openssh-client`."
WRONG_HOST_KEY = "host key verification failed for the instance's address"
WRONG_HOST_KEY_HINT = (
    "Nothing was sent. Another machine may have taken over the address, or the host keys inside "
    "the instance were replaced; `multipass list` shows the address."
)
NOT_LET_IN = "the instance did not accept the service's key"
NOT_LET_IN_HINT = "The login user's ~/.ssh/authorized_keys in the instance may have been changed."
NO_SFTP = "the instance has no SFTP server"
NO_SFTP_HINT = "Install one in it: Debian and Ubuntu have it in the package openssh-sftp-server."
SFTP_ENDED = "the instance's SFTP server ended before all was copied"
TRUST_ENDED = "the service does not trust this client any more"
TRUST_ENDED_HINT = (
    "An administrator of the service can invite you again (`multipass invite`); "
    "`multipass authenticate` takes the invitation, or the passphrase."
)
RELAY_FAILED = "the connection to the instance through the service can't be made"
SSH_LOST = "the connection to the instance ended"


def by_shared_key(name: str, why: str) -> str:
    return f"{name} is logged in to by the key that all instances share: {why}"


def no_host_key(name: str) -> str:
    return f"the service has no host key of '{name}', so the instance's identity can't be verified"


def no_ssh_information(name: str) -> str:
    return f"the service did not say how to reach '{name}'"


# -- finding and showing --------------------------------------------------------------------------

ONE_CATEGORY = 'Specify one of "--only-images", "--only-blueprints" or omit to fetch both'
NO_BLUEPRINT_UPDATE = "Force updating blueprints is not currently supported"
BAD_SEARCH = "Invalid remote and search string supplied"
INFO_ALL_DEPRECATED = (
    "Warning: the `--all` flag for the `info` command is deprecated. "
    "Please use `info` with no positional arguments for the same effect."
)
MIXED_CSV = "Mixed snapshot and instance arguments are not supported with CSV format"
NOTHING_FOUND = "No images or blueprints found."
NO_IMAGES_FOUND = "No images found."
NO_BLUEPRINTS_FOUND = "No blueprints found."
NO_NETWORKS = "No network interfaces found."
