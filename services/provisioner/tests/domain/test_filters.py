"""Filters of lists, judged on what is shown."""

from datetime import UTC, datetime

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_mesh import Page
from catalyst_provisioner.rpc import filters
from catalyst_provisioner.rpc.filters import FilterInvalid

LISTS = {
    pb.Sovereign: filters.SOVEREIGNS, pb.Plan: filters.PLANS, pb.Run: filters.RUNS, pb.Step: filters.STEPS,
    pb.LedgerEntry: filters.LEDGER, pb.Component: filters.COMPONENTS, pb.Credential: filters.CREDENTIALS,
    pb.Offer: filters.OFFERS,
}  # fmt: skip
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUN = pb.Run(state=pb.Run.STATE_FAILED, plan="sovereigns/a/plans/p")
RUN.start_time.FromDatetime(NOON)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ("state = FAILED", True),
        ('state = "STATE_FAILED" AND plan = sovereigns/a/plans/p', True),
        ("state != FAILED", False),
        ("start_time >= 2026-05-01T12:00:00Z AND start_time < 2026-05-02T00:00:00Z", True),
        ("start_time > 2026-05-01T12:00:00Z", False),
        ("end_time < 2027-01-01T00:00:00Z", False),  # it has none yet
    ],
)
def test_all_terms_have_to_take_a_resource(text: str, taken: bool) -> None:
    assert filters.parse(text, pb.Run, filters.RUNS).takes(RUN) is taken


@pytest.mark.parametrize(
    "text",
    [
        "size = 3",
        "state = LOST",
        "state > FAILED",
        "state FAILED",
        "state = FAILED OR plan = x",
        "start_time > noon",
        "=",
    ],
)
def test_what_is_not_served_is_refused(text: str) -> None:
    with pytest.raises(FilterInvalid):
        filters.parse(text, pb.Run, filters.RUNS)


def test_numbers_truth_and_parts_are_compared_as_what_they_are() -> None:
    offer = pb.Offer(size="sb8", vcpu=8, deprecated=False)
    assert filters.parse("vcpu >= 8 AND deprecated = false", pb.Offer, filters.OFFERS).takes(offer)
    assert not filters.parse("vcpu > 10", pb.Offer, filters.OFFERS).takes(offer)
    held = pb.Sovereign(spec={"organization": {"slug": "acme"}})
    assert filters.parse("spec.organization.slug = acme", pb.Sovereign, filters.SOVEREIGNS).takes(held)


def test_every_field_that_a_list_names_is_one_of_its_resources() -> None:
    for kind, fields in LISTS.items():
        for field in fields:
            with_any = [
                f"{field} = {word}" for word in ("1", "true", "ACTIVE", "2026-01-01", "FAILED", "APPLY", "READY")
            ]
            readable = 0
            for text in [*with_any, f"{field} = HEALTHY", f"{field} = CREATED", f"{field} = CLOUD_PROVIDER"]:
                try:
                    readable += bool(filters.parse(text, kind, fields).terms)
                except FilterInvalid:
                    continue
            assert readable, (kind, field)


async def test_pages_of_a_filtered_list_are_full_and_meet_everything_once() -> None:
    rows = list(range(1, 101))

    async def fetch(after: int | None) -> list[int]:
        return [row for row in rows if row > (after or 0)][:8]

    async def show(row: int) -> pb.Offer:
        return pb.Offer(vcpu=row % 10)

    wanted = filters.parse("vcpu = 3", pb.Offer, filters.OFFERS)
    token, sizes = "", []
    while True:
        page = Page.of(7, token, "x")
        found, token = await filters.filled(page, wanted, fetch=fetch, show=show, key=lambda row: row)
        sizes.append(len(found))
        if not token:
            break
    assert sizes == [7, 3]
