"""From the tool's errors to the errors of the SDK. Pure.

Only the provider's machine code decides, from a closed list that the plugin keeps; what no code tells is unknown. Text
for people is passed on as the message and never looked into.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from ..failures import Permanent, PluginFailure, RateLimited, Temporary
from .stream import Diagnostic

CODE = re.compile(r"\((?P<code>[a-z][a-z_]+), [0-9a-zA-Z-]+\)\s*$")
"""How a provider ends its message: `(code, correlation id)`."""
ORDER = ("auth", "invalid", "conflict", "quota", "capacity", "protected", "unknown", "rate_limited", "transient")
"""Of several errors the one that needs a person counts, and of these the one that explains the others."""
PAUSE = timedelta(seconds=30)
"""Wait after a rate limit: the tool does not tell how long the provider asked for."""


def trailing_code(diagnostic: Diagnostic) -> str:
    """The machine code at the end of a diagnostic; empty: it has none."""
    for text in (diagnostic.detail, diagnostic.summary):
        if found := CODE.search(text):
            return found["code"]
    return ""


def by_code(classes: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Code to error class, from error class to codes as the data files have it."""
    return {code: name for name, codes in classes.items() for code in codes}


def failure(
    found: Sequence[tuple[Diagnostic, str]], classes: Mapping[str, str], *, provider: str, actions: Mapping[str, str]
) -> PluginFailure:
    """The error that tells what went wrong.

    found     diagnostics, each with its code
    classes   code to error class
    actions   error class to what a person can do
    """
    if not found:
        return Temporary("the tool ended without saying why", provider=provider)
    judged = [(classes.get(code, "unknown"), code, diagnostic) for diagnostic, code in found]
    name, code, diagnostic = min(judged, key=lambda one: ORDER.index(one[0]))
    action = actions.get(name, "")
    if name == "transient":
        return Temporary(str(diagnostic), provider=provider, provider_code=code)
    if name == "rate_limited":
        return RateLimited(str(diagnostic), retry_after=PAUSE, provider=provider, provider_code=code)
    return Permanent(name.upper(), str(diagnostic), provider=provider, provider_code=code, user_action=action)
