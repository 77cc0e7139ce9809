"""Where one can begin: the navigation, and the letters that lead there."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the navigation.

    key     pressed after `g` it leads there
    also    beginnings of other paths that belong to it
    roles   who finds it worth showing; nobody named is everybody. Hidden is never the protection: daemons refuse
    """

    path: str
    label: str
    key: str
    roles: frozenset[str] = field(default_factory=frozenset)
    also: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Whether a page belongs to it."""
        return path.startswith((self.path, *self.also))
