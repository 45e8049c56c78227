"""User-visible messages of `transfer`. Texts of 1.16 to the letter, where it has one."""

from __future__ import annotations

# -- the command line -----------------------------------------------------------------------------

NOT_ENOUGH = "Not enough arguments given"
ONE_DASH = "Only one '-' allowed"
TWO_WITH_DASH = "Only two arguments allowed when using '-'"
SOURCE_INSIDE = "Source must be from inside an instance"
TARGET_INSIDE = "Target must be inside an instance"
ALL_INSIDE = "All sources must be from inside an instance"
NO_INSTANCE = "An instance name is needed for either source or destination"
BOTH_INSTANCES = "Cannot specify an instance name for both source and destination"
SHELL_WILDCARD = (
    "Wildcards are not expanded inside an instance: use --recursive for a directory, or pack the "
    "files there with `multipass exec`."
)

# -- targets --------------------------------------------------------------------------------------

NO_REMOTE_TARGET = "remote target does not exist"
NO_LOCAL_TARGET = "local target does not exist"
PARENTS_HINT = "--parents makes the directories of a target that are missing."


def not_a_directory(target: str) -> str:
    return f'Target "{target}" is not a directory'


def cannot_access_target(target: str, why: str) -> str:
    return f'Cannot access "{target}": {why}'


NEEDS_ROOT = (
    "Files are transferred with the rights of the instance's login user. For places of root, "
    "transfer to or from its home, and use `multipass exec <instance> -- sudo mv` or `sudo cp`."
)


# -- files ----------------------------------------------------------------------------------------

NOT_REGULAR = "not a regular file"
TOO_DEEP = "too many directories within each other"
NOT_A_NAME = "the instance sent a name that is none"


def omitting_local(path: str) -> str:
    return f"omitting local directory {path}: recursive mode not specified"


def omitting_remote(path: str) -> str:
    return f"omitting remote directory {path}: recursive mode not specified"


def cannot_access(path: str, why: str) -> str:
    return f"cannot access {path}: {why}"


def cannot_open_local(path: str, why: str) -> str:
    return f"cannot open local file {path}: {why}"


def cannot_open_remote(path: str, why: str) -> str:
    return f"cannot open remote file {path}: {why}"


def cannot_read_local(path: str, why: str) -> str:
    return f"cannot read local file {path}: {why}"


def cannot_read_remote(path: str, why: str) -> str:
    return f"cannot read remote file {path}: {why}"


def cannot_write_local(path: str, why: str) -> str:
    return f"cannot write local file {path}: {why}"


def cannot_write_remote(path: str, why: str) -> str:
    return f"cannot write remote file {path}: {why}"


def directory_in_the_way_remote(path: str) -> str:
    return f'cannot overwrite remote directory "{path}" with non-directory'


def directory_in_the_way_local(path: str) -> str:
    return f"cannot overwrite local directory {path} with non-directory"


def file_in_the_way_local(path: str) -> str:
    return f"cannot overwrite local non-directory {path} with directory"


def cannot_create_local(path: str, why: str) -> str:
    return f"cannot create local directory {path}: {why}"


def cannot_create_remote(path: str, why: str) -> str:
    return f"cannot create remote directory {path}: {why}"


def no_sftp(what: str) -> str:
    return f"the instance's answer is not SFTP: {what}"


NO_SFTP_HINT = (
    "A shell's start-up file in the instance, such as ~/.bashrc, may print something; it must not "
    "where there is no terminal."
)
