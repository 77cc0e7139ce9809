"""Certificates that somebody may still have for a name at rest, after the public description of Cert Spotter's search."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from catalyst_pool_domain_manager.workers.certificates import IssuanceSearch, NoLogs
from catalyst_testkit.fake_registrar import FakeAnswer, FakeRegistrar, FakeRequest, serving

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
CANARY = "canary-token-0123456789"


class FakeSearch(FakeRegistrar):
    """A search over the logs: issuances by the name that they are for. `spoiled` is answered in their place."""

    def __init__(self) -> None:
        super().__init__()
        self.issued: dict[str, datetime] = {}
        self.spoiled: FakeAnswer | None = None

    def answer(self, request: FakeRequest) -> FakeAnswer:
        if self.spoiled:
            return self.spoiled
        if request.path != "/v1/issuances" or not request.query.get("domain"):
            return FakeAnswer(400, {"code": "bad_query", "message": "a domain is needed"})
        asked, below = request.query["domain"], request.query.get("include_subdomains") == "true"
        found = [
            {"id": str(n), "tbs_sha256": "00", "not_before": "2026-09-01T00:00:00Z", "not_after": f"{ends:%FT%TZ}"}
            for n, (name, ends) in enumerate(self.issued.items())
            if name == asked or (below and name.endswith(f".{asked}"))
        ]
        return FakeAnswer(200, found)


async def test_a_certificate_of_the_name_or_below_it_counts_until_it_ends() -> None:
    async with serving(FakeSearch()) as fake:
        fake.issued = {"console.one.pool.test": NOON + timedelta(seconds=1), "two.pool.test": NOON}
        search = IssuanceSearch(f"{fake.url}/")
        assert [await search.has_valid(f"{name}.pool.test", NOON) for name in ("one", "two", "three")] == [
            True, False, False,
        ]  # fmt: skip
    assert await NoLogs().has_valid("one.pool.test", NOON) is False


async def test_who_lets_only_customers_ask_is_shown_the_token_and_nobody_else_sees_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{CANARY}\n")
    async with serving(FakeSearch()) as fake:
        search = IssuanceSearch(fake.url, token)
        assert await search.has_valid("one.pool.test", NOON) is False
        assert fake.seen[-1].headers["authorization"] == f"Bearer {CANARY}"
        assert CANARY not in repr(search)
    token.unlink()
    assert await IssuanceSearch(fake.url, token).has_valid("one.pool.test", NOON) is None


async def test_what_is_no_answer_leaves_it_open_and_the_search_in_peace_for_as_long_as_it_says() -> None:
    clock = [0.0]
    async with serving(FakeSearch()) as fake:
        search = IssuanceSearch(fake.url, monotonic=lambda: clock[0])
        spoiled = (
            FakeAnswer(200, "<html>", "text/html"), FakeAnswer(200, [{"id": "1"}]), FakeAnswer(200, {"code": "x"}),
            FakeAnswer(200, [{"not_after": 7}]), FakeAnswer(503, {}), FakeAnswer(429, {"code": "rate_limited"}),
        )  # fmt: skip
        for n, fake.spoiled in enumerate(spoiled, 1):
            assert await search.has_valid("one.pool.test", NOON) is None
            assert await search.has_valid("two.pool.test", NOON) is None
            assert len(fake.seen) == n, "the second question was not asked"
            clock[0] += 60
        fake.spoiled = None
        assert await search.has_valid("one.pool.test", NOON) is False
    assert await search.has_valid("one.pool.test", NOON) is None, "nobody listens"
