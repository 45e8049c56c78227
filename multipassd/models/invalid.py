"""Why JSON is not what its model says. Pure."""

from __future__ import annotations

LACKS = "it lacks {}"
UNKNOWN = "it has {}, which is unknown"
NOT_VALID = "its {} is not valid"
NO_OBJECT = "it holds no JSON object"
CUT_OFF = "it is cut off or not JSON"
EMPTY = "it is empty"


class Invalid(ValueError):
    """The text is a clause that names the place and never the value, which may be a secret or
    written to be shown."""

    def __init__(self, why: str = NOT_VALID, place: tuple[str, ...] = ()) -> None:
        """`why`: one of the clauses above; `place`: from the outermost field to the innermost."""
        super().__init__(why, place)
        self.why = why
        self.place = place

    def within(self, step: str | int) -> Invalid:
        """The same, as seen from the value around it."""
        return Invalid(self.why, (str(step), *self.place))

    def __str__(self) -> str:
        if not self.place:
            return NO_OBJECT if self.why is NOT_VALID else self.why
        return self.why.format(".".join(self.place))
