"""The state machine of one machine, fed with commands, events and its guest's end. Pure."""

from __future__ import annotations

from multipassd.instances.states import transitions
from multipassd.instances.states.state import State
from multipassd.instances.states.transitions import Command, Event


class MachineState:
    """The machine's own state: STOPPED, STARTING, RESTARTING, RUNNING, SUSPENDING or UNKNOWN."""

    def __init__(self) -> None:
        self.state = State.STOPPED
        self.ending: Command | None = None  # the command that ends the guest, if one does

    def begin_start(self, command: Command) -> None:
        """START, or the second half of RESTART."""
        self.state = command.begins or self.state

    def begin_end(self, command: Command) -> None:
        """The command is about to end the guest."""
        self.ending = command
        self.state = command.begins or self.state

    def expect_end(self) -> None:
        """The guest is switched off, by the command under way or by force."""
        self.ending = self.ending or transitions.FORCE

    def started(self) -> None:
        """There is a guest, and no command ends it yet."""
        self.ending = None

    def happened(self, event: Event) -> None:
        if event is Event.WENT_ON:
            self.ending = None
        self.state = transitions.after(self.state, event)

    def ended(self) -> Command | None:
        """The guest has ended: by the command that is returned, or (None) by itself."""
        self.state = transitions.after_end(self.ending)
        return self.ending
