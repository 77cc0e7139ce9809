"""What components of a simulated cluster meet, because somebody asked for it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..faults import LASTING


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault of components."""

    id: str
    effect: str
    name: str = ""
    """Names of components, with `*` and `?`; empty: all."""
    times: int = 1
    """How often each of them meets it; -1: always. What lasts is there until it is cleared."""
    delay: float = 1.0

    def meets(self, name: str, met: Mapping[str, int]) -> bool:
        """Whether a component of that name, which has met this so often, meets it now."""
        if self.name and not fnmatchcase(name, self.name):
            return False
        return self.effect in LASTING or self.times < 0 or met.get(self.id, 0) < self.times


def first(troubles: Iterable[Trouble], effects: Iterable[str], name: str, met: Mapping[str, int]) -> Trouble | None:
    """The first trouble of these effects that the component meets."""
    wanted = set(effects)
    return next((one for one in troubles if one.effect in wanted and one.meets(name, met)), None)
