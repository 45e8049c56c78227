"""Messages of `launch`."""

from __future__ import annotations

from enum import IntEnum

from protocol.codec import Message, boolean, int32, message, repeated, string
from protocol.messages.common import UpdateInfo


class LaunchRequest(Message):
    """The request of the call `launch`."""

    class NetworkOptions(Message):
        """One network that the instance is connected to."""

        class Mode(IntEnum):
            """Who configures the network inside the instance, by number on the wire."""

            AUTO = 0
            MANUAL = 1

        id: str = string(1)
        mode: int = int32(2)
        mac_address: str = string(3)

    instance_name: str = string(1)
    image: str = string(2)
    kernel_name: str = string(3)
    num_cores: int = int32(4)
    mem_size: str = string(5)
    disk_space: str = string(6)
    time_zone: str = string(7)
    cloud_init_user_data: str = string(8)
    remote_name: str = string(9)
    verbosity_level: int = int32(11)
    network_options: list[NetworkOptions] = repeated(message(12, NetworkOptions))
    permission_to_bridge: bool = boolean(13)
    timeout: int = int32(14)
    password: str = string(15)
    target: str = string(1001)  # the host to make it on; empty: any. None of 1.16's fields


class LaunchError(Message):
    """The details of a refused launch: which options are invalid."""

    class ErrorCodes(IntEnum):
        """The invalid option, by number on the wire."""

        OK = 0
        INVALID_MEM_SIZE = 1
        INVALID_DISK_SIZE = 2
        INVALID_HOSTNAME = 3
        INVALID_NETWORK = 4

    error_codes: list[int] = repeated(int32(1))


class LaunchProgress(Message):
    """The step of a launch, and its progress in per cent."""

    class ProgressTypes(IntEnum):
        """The steps of a launch, by number on the wire."""

        IMAGE = 0
        EXTRACT = 1
        VERIFY = 2
        WAITING = 3

    type: int = int32(1)
    percent_complete: str = string(2)


class LaunchReply(Message):
    """The reply of the call `launch`."""

    class Alias(Message):
        """An alias of a command inside the instance."""

        name: str = string(1)
        instance: str = string(2)
        command: str = string(3)
        working_directory: str = string(4)

    vm_instance_name: str | None = string(1, oneof="create_oneof")
    launch_progress: LaunchProgress | None = message(2, LaunchProgress, oneof="create_oneof")
    create_message: str | None = string(3, oneof="create_oneof")
    log_line: str = string(6)
    update_info: UpdateInfo | None = message(7, UpdateInfo)
    reply_message: str = string(8)
    nets_need_bridging: list[str] = repeated(string(9))
    aliases_to_be_created: list[Alias] = repeated(message(10, Alias))
    workspaces_to_be_created: list[str] = repeated(string(11))
    password_requested: bool = boolean(12)
