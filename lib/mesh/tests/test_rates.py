"""How often one may ask."""

from catalyst_mesh.rates import MOST_KEYS, Rate, Rates
from hypothesis import given
from hypothesis import strategies as st


def test_a_bucket_gives_its_burst_at_once_then_one_at_a_time() -> None:
    rates, rate = Rates(), Rate(per_second=10, burst=20)
    assert [rates.take(("a",), rate, 0.0) for _ in range(20)] == [None] * 20
    wait = rates.take(("a",), rate, 0.0)
    assert wait is not None
    assert 0.09 < wait.total_seconds() <= 0.1
    assert rates.take(("b",), rate, 0.0) is None, "another's bucket is another one"
    assert rates.take(("a",), rate, 0.11) is None
    assert rates.take(("a",), rate, 0.11) is not None


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_identity_gets_more_than_burst_and_rate_allow(pauses: list[float]) -> None:
    rates, rate, now, given = Rates(), Rate(per_second=2, burst=5), 0.0, 0
    for pause in pauses:
        now += pause
        given += rates.take(("a",), rate, now) is None
    assert given <= 5 + 2 * now + 1e-6


def test_buckets_of_many_identities_take_bounded_room() -> None:
    rates, rate = Rates(), Rate(1, 1)
    for n in range(MOST_KEYS + 10):
        rates.take((str(n),), rate, 0.0)
    assert len(rates._left) == MOST_KEYS
