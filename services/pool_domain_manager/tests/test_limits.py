"""How often an identity may ask, at one replica and at several."""

from dataclasses import replace
from itertools import cycle

from catalyst_mesh import Caller
from catalyst_pool_domain_manager.domain.policy import Rules
from catalyst_pool_domain_manager.domain.refusals import RateLimited
from catalyst_pool_domain_manager.rpc.limits import Limits
from hypothesis import given, settings
from hypothesis import strategies as st

from .domain.makers import POOL

ME = Caller("somebody")
SECONDS = 10


def admitted(replicas: int, tries: int) -> int:
    """Checks that are let through within some seconds, by replicas that are asked in turn."""
    now = 0.0
    parts = [Limits(replicas, clock=lambda: now) for _ in range(replicas)]
    pool = replace(POOL, rules=Rules(checks_per_second=2, check_burst=6))
    found = 0
    for n, part in zip(range(tries), cycle(parts)):
        now = SECONDS * n / tries
        try:
            part.check(ME, pool)
            found += 1
        except RateLimited:
            pass
    return found


@settings(max_examples=20)
@given(st.sampled_from([1, 2, 3, 6]), st.integers(100, 200))
def test_several_replicas_together_allow_what_one_alone_does(replicas: int, tries: int) -> None:
    alone, together = admitted(1, tries), admitted(replicas, tries)
    assert alone == 6 + 2 * SECONDS - 1
    assert alone - 2 * replicas <= together <= alone + replicas
