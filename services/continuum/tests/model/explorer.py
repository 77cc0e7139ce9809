"""Breadth first through every state of a world, until one is broken or none is new."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Generic, Protocol, TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class Move(Generic[State]):
    """Something that may happen: what it makes of the world, and to what."""

    words: str
    made: Callable[[], State]
    what: object = ""

    def __str__(self) -> str:
        return f"{self.what} {self.words}".strip()


class World(Protocol[State]):
    """What can happen, and what must not."""

    def first(self) -> State: ...

    def moves(self, state: State) -> Iterable[Move[State]]:
        """Everything that may happen next."""
        ...

    def key(self, state: State) -> Hashable:
        """Two states with one key have one future."""
        ...

    def broken(self, state: State) -> str:
        """The invariant that does not hold, with what was seen; empty where all hold."""
        ...


@dataclass(frozen=True)
class Found(Generic[State]):
    """What an exploration came to: `broken` with the shortest way there, or nothing in `states` states."""

    states: int
    broken: str = ""
    way: tuple[str, ...] = ()
    is_all: bool = True

    def __str__(self) -> str:
        return f"{self.broken or 'nothing broken'} in {self.states} states\n" + "\n".join(self.way)


def explore(world: World[State], most: int) -> Found[State]:
    """All states, or `most` of them."""
    begun = world.first()
    seen: dict[Hashable, tuple[Hashable, Move[State]] | None] = {world.key(begun): None}
    queue = deque([begun])
    while queue:
        state = queue.popleft()
        here = world.key(state)
        for move in world.moves(state):
            after = move.made()
            there = world.key(after)
            if there in seen:
                continue
            seen[there] = (here, move)
            if broken := world.broken(after):
                return Found(len(seen), broken, _way(seen, there))
            queue.append(after)
        if len(seen) >= most:
            return Found(len(seen), is_all=False)
    return Found(len(seen))


def wander(world: World[State], seed: int, steps: int) -> Found[State]:
    """One way through the world, drawn by `seed`: what breadth first does not reach."""
    random, state, way = Random(seed), world.first(), list[Move[State]]()
    for _ in range(steps):
        moves = list(world.moves(state))
        if not moves:
            break
        move = random.choice(moves)
        state = move.made()
        way.append(move)
        if broken := world.broken(state):
            return Found(len(way), f"{broken} (seed {seed})", tuple(map(str, way)))
    return Found(len(way), way=tuple(map(str, way)))


def _way(seen: dict[Hashable, tuple[Hashable, Move[State]] | None], last: Hashable) -> tuple[str, ...]:
    words = []
    while (step := seen[last]) is not None:
        last = step[0]
        words.append(str(step[1]))
    return tuple(reversed(words))
