"""h2's server side of a connection with this service's limits instead of h2's own. Pure."""

from __future__ import annotations

from h2 import frame_buffer
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from multipassd import limits

# A module's constant is all that h2 offers: 64 frames would be 1 MiB a connection.
frame_buffer.CONTINUATION_BACKLOG = limits.CONTINUATIONS


class ServerConnection(H2Connection):
    MAX_CLOSED_STREAMS = limits.CLOSED_STREAMS

    def begin(self, streams: int) -> None:
        """Send the first SETTINGS. What is changed in `local_settings` would only be sent later."""
        self.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.HEADER_LIST,
            },
        )
        self.decoder.max_header_list_size = limits.HEADER_LIST
        self.initiate_connection()

    def say_goodbye(self) -> None:
        """GOAWAY that lets the calls in flight end: after h2's own nothing more could be sent."""
        goaway = GoAwayFrame(
            stream_id=0,
            last_stream_id=self.highest_inbound_stream_id,
            error_code=ErrorCodes.NO_ERROR,
        )
        self._prepare_for_sending([goaway])
