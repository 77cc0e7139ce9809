"""Which sets are written: what was wished since they were read back, whatever number the zone shows."""

import pytest
from catalyst_pool_domain_manager.domain.record_sets import Wish, due
from catalyst_sdk.dns import RecordSet, ZoneState

ORIGIN = "acme.example."
HOSTS = ("ns1.dns.example.", "ns2.dns.example.")
WISH = Wish(ORIGIN, "NS", 300, HOSTS, "organizations/acme", 3)


def shown(revision: int, ttl: int) -> ZoneState:
    return ZoneState(ORIGIN, "mark", 1, revision, False, (RecordSet(ORIGIN, "NS", ttl, HOSTS),), (), "etag")


@pytest.mark.parametrize(
    ("revision", "written", "why"),
    [
        (2, 2, "the change has not arrived"),
        (3, 2, "the server took the number of the change, and left this part of it out"),
        (2, 3, "the server is behind what it once had"),
    ],
)
def test_a_set_is_written_until_it_was_read_back(revision: int, written: int, why: str) -> None:
    assert [change.ttl for change in due([WISH], shown(revision, 3600), written)] == [300], why
    assert due([WISH], shown(revision, 300), written) == (), "it is there already"


def test_what_somebody_changed_after_it_was_read_back_is_not_written_over_in_passing() -> None:
    assert due([WISH], shown(3, 3600), 3) == ()
