"""What is measured of names and moves: what was not observed is not counted."""

from catalyst_continuum.domain.measure import Measured
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_sdk.continuum import AuthorityView, TrafficView
from prometheus_client import CollectorRegistry


def test_an_authority_shows_the_lowest_epoch_of_its_names_and_a_silent_one_keeps_what_was_known() -> None:
    registry = CollectorRegistry()
    metrics = ContinuumMetrics(registry)
    metrics.traffic("demo/shop", TrafficView((AuthorityView("ns1", "a", 4), AuthorityView("ns1", "b", 3))))
    metrics.traffic(
        "demo/shop", TrafficView((AuthorityView("ns1", "a", None, answers=False), AuthorityView("ns2", "a", None)))
    )
    epochs = {
        name: registry.get_sample_value("catalyst_continuum_traffic_epoch", {"slot": "demo/shop", "authority": name})
        for name in ("ns1", "ns2")
    }
    assert epochs == {"ns1": 3, "ns2": 0}


def test_a_move_of_which_nothing_was_seen_leaves_no_sample() -> None:
    registry = CollectorRegistry()
    metrics = ContinuumMetrics(registry)
    metrics.moved("demo/shop", "failover", Measured(), {})
    assert registry.get_sample_value("catalyst_continuum_rto_seconds_count", {"kind": "failover"}) is None
    assert registry.get_sample_value("catalyst_continuum_rpo_rows", {"slot": "demo/shop"}) is None
    metrics.moved("demo/shop", "failover", Measured(12.0, 3.0, 0, 0.0), {"detect": 9.0})
    metrics.planned("demo/shop", 2)
    metrics.stale("names")
    assert registry.get_sample_value("catalyst_continuum_rto_seconds_sum", {"kind": "failover"}) == 12
    assert registry.get_sample_value("catalyst_continuum_rpo_rows", {"slot": "demo/shop"}) == 0
    assert registry.get_sample_value("catalyst_continuum_plan_blockers", {"slot": "demo/shop"}) == 2
    assert registry.get_sample_value("catalyst_continuum_stale_effect_rejected_total", {"effector": "names"}) == 1
