"""What becomes of a failed run that nobody looks after."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst_provisioner.domain import patience
from catalyst_provisioner.domain.patience import Deed, Failed
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
PAID = Failed("run-1", "infra.c", "pause", NOON, NOON + DAY)


@pytest.mark.parametrize(
    ("failed", "after", "deed"),
    [
        (PAID, timedelta(), None),
        (PAID, DAY * 0.49, None),
        (PAID, DAY * 0.5, Deed.WARN),
        (replace(PAID, warned=0.5), DAY * 0.8, None),
        (replace(PAID, warned=0.5), DAY * 0.9, Deed.WARN),
        (replace(PAID, warned=0.9), DAY * 0.95, None),
        (replace(PAID, warned=0.9), DAY, Deed.COMPENSATE),
        (replace(PAID, paid_until=None), DAY * 30, None),
        (replace(PAID, reaction="compensate"), timedelta(), Deed.COMPENSATE),
        (replace(PAID, reaction="retry"), MINUTE * 0.9, None),
        (replace(PAID, reaction="retry"), MINUTE, Deed.RETRY),
        (replace(PAID, reaction="retry", retries=3), MINUTE * 7, None),
        (replace(PAID, reaction="retry", retries=3), MINUTE * 8, Deed.RETRY),
        (replace(PAID, reaction="retry", retries=30), timedelta(hours=1), Deed.RETRY),
        (replace(PAID, reaction="retry", retries=99), DAY, Deed.COMPENSATE),
    ],
)
def test_what_is_due_when(failed: Failed, after: timedelta, deed: Deed | None) -> None:
    assert patience.due(failed, NOON + after, MINUTE) == deed


@given(st.floats(0, 1.5), st.integers(0, 20))
def test_a_warning_is_given_once(part: float, retries: int) -> None:
    now = NOON + DAY * part
    failed = replace(PAID, retries=retries)
    assert patience.due(patience.warned(failed, now), now, MINUTE) is not Deed.WARN


@given(st.sampled_from([None, NOON + DAY]), st.integers(0, 9), st.sampled_from([0.0, 0.5, 0.9]))
def test_what_is_kept_reads_as_it_was(until: datetime | None, retries: int, warned: float) -> None:
    failed = Failed("run-1", "probe", "retry", NOON, until, warned, retries)
    assert patience.read(failed.plain()) == failed
