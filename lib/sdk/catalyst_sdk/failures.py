"""The four errors that may leave a plugin; anything else is a bug of the plugin, and the host contains it."""

from datetime import timedelta


class PluginFailure(Exception):
    """Common part: which provider failed, with its own code, and what the user can do about it."""

    def __init__(
        self, message: str, *, provider: str = "", provider_code: str = "", user_action: str = "", **metadata: str
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.provider_code = provider_code
        self.user_action = user_action
        self.metadata = metadata


class Temporary(PluginFailure):
    """It may work later. `delay` is the shortest wait that makes sense; None leaves it to the host."""

    def __init__(self, message: str, *, delay: timedelta | None = None, **rest: str) -> None:
        super().__init__(message, **rest)
        self.delay = delay


class RateLimited(PluginFailure):
    """The provider asked for a pause of `retry_after`; it does not count as a try."""

    def __init__(self, message: str, *, retry_after: timedelta, **rest: str) -> None:
        super().__init__(message, **rest)
        self.retry_after = retry_after


class Permanent(PluginFailure):
    """It will not work until somebody changes something. `reason` is UPPER_SNAKE, from the list of the plugin's kind."""

    def __init__(self, reason: str, message: str = "", **rest: str) -> None:
        super().__init__(message or reason, **rest)
        self.reason = reason


class NotSupported(PluginFailure):
    """The plugin lacks `capability`; normally said when a plan is made."""

    def __init__(self, capability: str, message: str = "", **rest: str) -> None:
        super().__init__(message or f"capability {capability} is missing", **rest)
        self.capability = capability
