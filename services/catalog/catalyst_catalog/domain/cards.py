"""Cards and the search over them. The user's words are only ever compared, never a pattern."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import folding
from .folding import fold
from .manifest_parts import Visibility
from .universe import Release, State

LONGEST_QUERY = 100


@dataclass(frozen=True, slots=True)
class Filter:
    """What a card must have: any of the categories, any of the families, all of the tags. Empty admits everything."""

    q: str = ""
    categories: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Cards in order, and how many of them have which category, family, tag and layer."""

    cards: tuple[Release, ...]
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Values by falling count, then by value."""
    keys: tuple[tuple[Any, ...], ...] = ()
    """What each card was sorted by: a place in the list that stays one when others come and go."""

    def after(self, key: Sequence[Any] | None, *, falling: bool = False) -> int:
        """Index of the first card behind `key`."""
        if key is None:
            return 0
        last = tuple(key)
        return sum(1 for own in self.keys if (own >= last if falling else own <= last))


def search(heads: Iterable[Release], wanted: Filter, *, order: str = "rank", falling: bool = False) -> Found:
    """The cards that fit, best first: a word found in the name, title, tags, tagline, summary, in this order.

    heads   one release per Blueprint
    order   `rank`, `name` or `title`
    """
    words, exactly = folding.wanted(wanted.q), fold(wanted.q.strip())
    scored = [
        ((_ORDERS[order](rank, release), release.name, release.owner_org), release)
        for release in heads
        if _is_in_grid(release, exactly)
        and _fits(release, wanted)
        and (rank := folding.rank(words, release.manifest.searched)) is not None
    ]
    scored.sort(key=lambda entry: entry[0], reverse=falling)
    cards = tuple(release for _, release in scored)
    return Found(cards, _facets(cards), tuple(key for key, _ in scored))


_ORDERS: Mapping[str, Callable[[int, Release], Any]] = {
    "rank": lambda rank, release: rank,
    "name": lambda rank, release: release.name,
    "title": lambda rank, release: fold(release.manifest.spec.card.title),
}


def hits(q: str, texts: Sequence[str]) -> int | None:
    """The worst place in `texts` in which a word of `q` was found; None if one was found nowhere."""
    return folding.rank(folding.wanted(q), [folding.beginnings(text) for text in texts])


def notices(release: Release) -> tuple[str, ...]:
    """What a card warns about: `planned`, `deferred`, `deprecated`, `yanked`."""
    status = release.manifest.spec.status.value
    told = [status] if status != "released" else []
    return tuple(told + ([release.state.name.lower()] if release.state is not State.VERIFIED else []))


def _is_in_grid(release: Release, exactly: str) -> bool:
    if not (release.is_offered or release.is_planned):
        return False
    if release.owner_org:
        return True  # private ones are in the universe of their owner only, whatever their manifests say
    if release.manifest.spec.visibility is Visibility.UNLISTED:
        return exactly in (release.name, release.name.removeprefix("bp-"))
    return True


def _fits(release: Release, wanted: Filter) -> bool:
    spec = release.manifest.spec
    return (
        (not wanted.categories or (spec.card.category or "") in wanted.categories)
        and (not wanted.families or release.family in wanted.families)
        and (not wanted.tags or wanted.tags.issubset(spec.card.tags))
        and (not wanted.layer or spec.layer.value == wanted.layer)
    )


def _facets(cards: Iterable[Release]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {name: {} for name in ("category", "family", "tag", "layer")}
    for release in cards:
        spec = release.manifest.spec
        for name, value in (("category", spec.card.category), ("family", spec.family), ("layer", spec.layer.value)):
            if value:
                counts[name][value] = counts[name].get(value, 0) + 1
        for tag in spec.card.tags:
            counts["tag"][tag] = counts["tag"].get(tag, 0) + 1
    return {n: dict(sorted(c.items(), key=lambda entry: (-entry[1], entry[0]))) for n, c in counts.items()}
