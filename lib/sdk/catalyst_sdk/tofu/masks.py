"""Hiding what must not be stored or shown. Pure.

`show -json` prints every variable and every sensitive value in clear, with a mask beside it: `true` where a whole value
is sensitive, else the shape of the value with `true` at what is.
"""

from collections.abc import Iterable
from typing import Any

HIDDEN = "(sensitive)"


def masked(value: Any, mask: Any) -> Any:
    """`value` with everything hidden that `mask` marks."""
    if mask is True:
        return HIDDEN
    if isinstance(value, dict) and isinstance(mask, dict):
        return {key: masked(item, mask.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(mask, list):
        marks = [*mask, *[None] * (len(value) - len(mask))]
        return [masked(item, mark) for item, mark in zip(value, marks, strict=False)]
    return value


def is_marked(mask: Any) -> bool:
    """Whether `mask` marks anything."""
    if isinstance(mask, dict):
        return any(map(is_marked, mask.values()))
    if isinstance(mask, list):
        return any(map(is_marked, mask))
    return mask is True


class Veil:
    """Takes known secrets out of text that others wrote: a provider may repeat in an error what it was sent."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: one secret may be part of another.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True)

    def over(self, text: str) -> str:
        """`text` without any of them."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def __repr__(self) -> str:
        return f"Veil(over {len(self._secrets)})"
