"""Words as people look for them: without case and accents, found by their beginnings."""

import unicodedata
from collections.abc import Iterable, Sequence


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).casefold()


def beginnings(text: str) -> str:
    """The words of a text, each behind the end of a line: whatever begins one is found behind such an end.

    `cert-manager` is found by `cert`, by `manager` and by itself.
    """
    whole = fold(text).split()
    parts = [part for word in whole for part in word.replace("/", "-").split("-")]
    return "".join(f"\n{part}" for part in (*whole, *parts))


def wanted(q: str) -> list[str]:
    """The words of a question, as `rank` takes them."""
    return [f"\n{word}" for word in fold(q).split()]


def rank(words: Iterable[str], texts: Sequence[str]) -> int | None:
    """The worst place in `texts`, which are `beginnings`, in which a word was found; None if one was found nowhere."""
    worst = 0
    for word in words:
        place = next((n for n, text in enumerate(texts) if word in text), None)
        if place is None:
            return None
        worst = max(worst, place)
    return worst
