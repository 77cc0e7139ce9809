"""What a step may raise to end other than by success."""

from datetime import datetime, timedelta

from catalyst_sdk import PluginFailure

from .states import Waits


class StepFailed(Exception):
    """A step says that it cannot be done.

    reason   UPPER_SNAKE
    pause    the run pauses, so that a person can mend it and retry, instead of going on towards its failure
    """

    def __init__(
        self, reason: str, message: str = "", *, user_action: str = "", pause: bool = False, **metadata: str
    ) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message or reason
        self.user_action = user_action
        self.pause = pause
        self.metadata = metadata


class StepBlocked(Exception):
    """Only somebody outside can help: the step rests, and looks again by itself. Neither a try nor the step's time.

    why     what stands in the way, as the step would otherwise have failed with it
    after   rest before the next look; a retry of the step looks at once
    """

    def __init__(self, why: PluginFailure | StepFailed, after: timedelta) -> None:
        super().__init__(why.message)
        self.why = why
        self.after = after


class Wait(BaseException):
    """A step has nothing to do until a moment or a signal; it is entered again then, from its beginning.

    No error, so it passes `except Exception` in the code of a step.
    """

    def __init__(self, waits: Waits, *, until: datetime | None = None, signal: str = "") -> None:
        super().__init__(f"waits for {signal or until}")
        self.waits = waits
        self.until = until
        self.signal = signal


class Fenced(BaseException):
    """This replica does not hold the run any more, and must not touch it again. Passes `except Exception`, as Wait does."""
