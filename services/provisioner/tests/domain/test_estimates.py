"""When a run will have ended, from what its steps usually take."""

from datetime import UTC, datetime, timedelta

from catalyst_provisioner.domain import estimates
from catalyst_provisioner.domain.estimates import Timed
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
S = timedelta(seconds=1)
LENGTHS = {"validate": S, "infra": 60 * S, "kit.bp-a": 30 * S, "probe": 5 * S}


def steps(*, over: int = 0, started: datetime | None = None) -> list[Timed]:
    shape = [
        ("validate", "validate", ()),
        ("infra.c", "infra", ("validate",)),
        ("kit.c.bp-a", "kit.bp-a", ("infra.c",)),
        ("probe", "probe", ("kit.c.bp-a",)),
    ]
    return [
        Timed(name, key, needs, i < over, (started or NOON) if i == over and started else None)
        for i, (name, key, needs) in enumerate(shape)
    ]


def test_a_step_is_remembered_by_what_it_does() -> None:
    assert estimates.key_of("kit.sb-east-mgt-dev.bp-a", "sb-east-mgt-dev") == "kit.bp-a"
    assert estimates.key_of("probe", "") == "probe"
    assert estimates.usual([("a", S), ("a", 3 * S), ("a", 100 * S)]) == {"a": 3 * S}


def test_the_end_is_the_longest_way_that_is_left() -> None:
    assert estimates.end(steps(), LENGTHS, NOON) == NOON + 96 * S
    assert estimates.end(steps(over=1, started=NOON - 20 * S), LENGTHS, NOON) == NOON + 75 * S
    assert estimates.end(steps(over=1, started=NOON - 500 * S), LENGTHS, NOON) == NOON + 35 * S, "late, and not past"


def test_what_nobody_knows_is_not_guessed() -> None:
    assert estimates.end(steps(), {"validate": S}, NOON) is None
    person = Timed("approve.destroy", "approve.destroy", (), False, None, waits_for_person=True)
    assert estimates.end([person], {"approve.destroy": S}, NOON) is None


@given(st.lists(st.integers(0, 100), min_size=1, max_size=6), st.integers(0, 6))
def test_the_end_comes_never_before_now_and_nearer_with_each_step(lengths: list[int], over: int) -> None:
    names = [f"s{i}" for i in range(len(lengths))]
    known = {name: length * S for name, length in zip(names, lengths, strict=True)}

    def chain(done: int) -> list[Timed]:
        return [Timed(n, n, (names[i - 1],) if i else (), i < done, None) for i, n in enumerate(names)]

    ends = [estimates.end(chain(done), known, NOON) for done in range(min(over, len(names)) + 1)]
    assert all(e is not None and e >= NOON for e in ends)
    assert ends == sorted(ends, reverse=True)  # type: ignore[type-var]  # none is None
