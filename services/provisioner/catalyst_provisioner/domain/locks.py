"""What is installed: the catalog's lock as this daemon uses it, with order and waves."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Component:
    """One Blueprint of a lock. Names are ids such as `bp-cilium`."""

    name: str
    version: str
    digest: str
    needs: tuple[str, ...] = ()
    wave: int = 1
    optional: bool = False
    requested: bool = False


@dataclass(frozen=True, slots=True)
class Traits:
    """What a Blueprint tells of itself, beside what it needs."""

    provides: tuple[str, ...] = ()
    """Kinds that it brings into a cluster, `{group}/{Kind}`."""
    uses: tuple[str, ...] = ()
    """Foreign kinds that its charts render, or look for."""
    requests: Mapping[str, float] = field(default_factory=dict)
    """What its pods ask for: `memory` and `storage` in GB, `cpu` in vCPU; what it does not tell is absent."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The components of a Sovereign, each after what it needs."""

    digest: str
    components: tuple[Component, ...]

    def needed_by(self, name: str) -> tuple[str, ...]:
        """Components that need `name`."""
        return tuple(c.name for c in self.components if name in c.needs)


class NeedsCircle(ValueError):
    """Components that need each other."""


def ordered(components: Iterable[Component]) -> tuple[Component, ...]:
    """By wave and name, and never before what is needed; waves are counted from the needs. Raises NeedsCircle."""
    by_name = {c.name: c for c in components}
    levels: dict[str, int] = {}

    def level(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            raise NeedsCircle(" -> ".join((*path, name)))
        if name not in levels:
            needs = [n for n in by_name[name].needs if n in by_name]
            levels[name] = 1 + max((level(n, (*path, name)) for n in needs), default=0)
        return levels[name]

    for name in sorted(by_name):
        level(name, ())
    return tuple(
        _placed(by_name[name], levels[name], by_name) for name in sorted(by_name, key=lambda n: (levels[n], n))
    )


def digest_of(components: Sequence[Component]) -> str:
    """A digest over what is installed, for locks whose catalog gives none."""
    plain = sorted((c.name, c.version, c.digest, sorted(c.needs), c.optional) for c in components)
    return "sha256:" + hashlib.sha256(json.dumps(plain, separators=(",", ":")).encode()).hexdigest()


def ancestors(name: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Everything that `name` needs, directly or not."""
    found: set[str] = set()
    todo = list(needs.get(name, ()))
    while todo:
        need = todo.pop()
        if need not in found:
            found.add(need)
            todo.extend(needs.get(need, ()))
    return found


def _placed(component: Component, wave: int, all: Mapping[str, Component]) -> Component:
    return Component(
        component.name,
        component.version,
        component.digest,
        tuple(sorted(n for n in component.needs if n in all)),
        wave,
        component.optional,
        component.requested,
    )
