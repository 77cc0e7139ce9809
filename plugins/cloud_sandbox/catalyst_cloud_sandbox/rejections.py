"""How the simulated cloud refuses, in its own codes, and what a caller of the SDK hears of that."""

from datetime import timedelta
from typing import NoReturn

from catalyst_sdk import Permanent, RateLimited, Temporary

PROVIDER = "sandbox"
CLASSES = {
    "resource_unavailable": "CAPACITY",
    "resource_limit_exceeded": "QUOTA",
    "unauthorized": "AUTH",
    "token_readonly": "AUTH",
    "uniqueness_error": "CONFLICT",
    "invalid_input": "INVALID",
    "resource_in_use": "PROTECTED",
}
"""Codes that need somebody to change something, by error class; the other codes pass by themselves."""
ACTIONS = {
    "CAPACITY": "choose another size or region from the offers",
    "QUOTA": "delete what is no longer needed, or raise the quota in the plugin's configuration",
    "AUTH": "give the credential a token that may write: sbt_<account>_<16 to 64 letters or digits>",
    "CONFLICT": "rename or remove the resource that holds the name; it isn't ours",
    "PROTECTED": "delete first what still uses it",
}


class Rejected(Exception):
    """The simulated cloud said no. `code` is the cloud's own."""

    def __init__(self, code: str, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(f"{message} (simulated, {code})")
        self.code = code
        self.retry_after = retry_after


def passed_on(rejected: Rejected) -> NoReturn:
    """Raise the SDK's error for it."""
    code, text = rejected.code, str(rejected)
    if code == "rate_limit_exceeded":
        pause = timedelta(seconds=rejected.retry_after)
        raise RateLimited(text, retry_after=pause, provider=PROVIDER, provider_code=code) from rejected
    if reason := CLASSES.get(code):
        action = ACTIONS.get(reason, "")
        raise Permanent(reason, text, provider=PROVIDER, provider_code=code, user_action=action) from rejected
    raise Temporary(text, provider=PROVIDER, provider_code=code) from rejected
