"""One row per reason and subject."""

from catalyst_billing.domain.findings import Severity, alarm, warn

from ..makers import LATER_NOON, NOON


def test_the_same_finding_has_the_same_name() -> None:
    first = warn("ODD", "orders/1", "look", account="", now=NOON)
    again = alarm("ODD", "orders/1", "look again", account="", now=LATER_NOON)
    assert first.name == again.name
    assert (first.severity, again.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert warn("ODD", "orders/2", "look", account="", now=NOON).name != first.name
