"""Names that only point here by a record, which is looked at before anybody believes it."""

from collections.abc import Awaitable, Callable, Mapping

import grpc
import pytest
from catalyst_gateway import lookups
from catalyst_gateway.findings import Findings
from catalyst_gateway.lookups import Found, LookupFailed, NoSuchName, look_up

HERE = "console.acme.omani.works"
WORLD: Mapping[str, Found | type[Exception]] = {
    HERE: Found(HERE, frozenset({"192.0.2.1", "2001:db8::1"})),
    "www.acme.example": Found(HERE, frozenset({"192.0.2.7"})),
    "acme.example": Found("acme.example", frozenset({"192.0.2.1"})),
    "old.acme.example": Found("old.acme.example", frozenset({"192.0.2.1", "203.0.113.80"})),
    "gone.acme.example": NoSuchName,
    "dark.acme.example": LookupFailed,
}


Ask = Callable[[str, str], Awaitable[list[tuple[str, str]]]]


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> Ask:
    async def seen(host: str) -> Found:
        known = WORLD[host]
        if isinstance(known, Found):
            return known
        raise known

    monkeypatch.setattr(lookups.pointing_fault, "__defaults__", (seen,))
    findings = Findings(grpc.aio.insecure_channel("127.0.0.1:9"))

    async def ask(domain: str, wished: str) -> list[tuple[str, str]]:
        report = await findings.of({"domain": domain, "pointsTo": wished}, ())
        assert report["valid"] == (report["findings"] == [])
        return [(f["field"], f["reason"]) for f in report["findings"]]

    return ask


@pytest.mark.parametrize(
    ("domain", "wished", "found"),
    [
        ("www.acme.example", HERE, []),  # an alias, whatever is answered behind it
        ("WWW.Acme.Example.", f" {HERE.upper()}. ", []),
        ("acme.example", HERE, []),  # an address, as at the top of a zone
        ("acme.example", "192.0.2.1", []),
        ("acme.example", "192.0.2.2", [("domain", "POINTS_ELSEWHERE")]),
        ("old.acme.example", HERE, [("domain", "POINTS_ELSEWHERE")]),  # one of two addresses is not ours
        ("gone.acme.example", HERE, [("domain", "POINTS_NOWHERE")]),
        ("www.acme.example", "gone.acme.example", [("domain", "POINTS_NOWHERE")]),
        ("dark.acme.example", HERE, [("domain", "lookup-error")]),
        ("acme.example", "1.2.3", [("pointsTo", "TARGET_INVALID")]),
        ("a..b", HERE, [("domain", "FQDN_MISMATCH")]),
    ],
)
async def test_a_name_that_points_here_by_a_record_is_looked_up(
    told: Ask, domain: str, wished: str, found: list[tuple[str, str]]
) -> None:
    assert await told(domain, wished) == found


async def test_the_system_s_resolver_is_asked() -> None:
    assert (await look_up("localhost")).addresses <= {"127.0.0.1", "::1"}
    with pytest.raises((NoSuchName, LookupFailed)):
        await look_up("nobody.invalid")
