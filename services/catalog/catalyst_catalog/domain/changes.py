"""What changed in the catalogue, one revision each: the record from which watchers are told."""

from dataclasses import dataclass
from enum import Enum

KEPT = 10_000
"""Changes that are kept; who was away for longer reads everything anew."""


class Kind(Enum):
    BLUEPRINT = "blueprint"
    VERSION = "version"
    OFFER = "offer"
    PRICE_BOOK = "price_book"


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `before`: how visible a Blueprint was until then, '' where it is new or nothing was visible of it."""

    revision: int
    kind: Kind
    name: str
    owner_org: str = ""
    row: int = 0
    """Revision of the row after the change; 0 where it is gone."""
    state: str = ""
    before: str = ""

    @property
    def blueprint(self) -> str:
        """Bare name of the Blueprint concerned; '' for rows of the storefront."""
        if self.kind not in (Kind.BLUEPRINT, Kind.VERSION):
            return ""
        return self.name.partition("/versions/")[0].rpartition("/")[2]
