"""Workloads' tokens: the cluster says whose they are, and nobody else."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import Caller, DaemonSettings, Issuer, TokenFile
from catalyst_mesh.claims import ForeignToken
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.keyfiles import write_private
from catalyst_mesh.token_review import AT_ONCE, MOST_ANSWERS, MOST_CACHED, WAITING, TokenReviewVerifier, _Answer
from catalyst_mesh.trust import verifier
from catalyst_mesh.verifiers import IssuerUnavailable
from catalyst_mesh.web import Web
from catalyst_testkit import eventually

from .outside import FakeApiServer, serving

CLUSTER = "https://kubernetes.default.svc.cluster.local"
ACCOUNT = "system:serviceaccount:catalyst:provisioner"


def token(**changed: Any) -> str:
    """Shaped as a projected token is; the cluster alone knows whether the signature is right."""
    claims = {"iss": CLUSTER, "exp": int(time.time()) + 600} | changed
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


class Bench:
    def __init__(self, api: FakeApiServer, folder: Path) -> None:
        self.api = api
        self.now = time.time()
        write_private(folder / "own", api.own_token)
        self.verifier = TokenReviewVerifier(
            api.server.url,
            web=Web(token=TokenFile(folder / "own")),
            issuer=CLUSTER,
            audience="catalyst-billing",
            workloads={ACCOUNT: "provisioner"},
            clock=lambda: self.now,
        )

    def known(self, audience: str = "catalyst-billing", account: str = ACCOUNT, **changed: Any) -> str:
        made = token(**changed)
        self.api.accounts[made] = (account, (audience,))
        return made


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    api = FakeApiServer()
    async with serving(api.server):
        made = Bench(api, tmp_path)
        yield made
        await made.verifier.close()


async def test_an_account_of_the_table_is_the_daemon_that_it_names(bench: Bench) -> None:
    known = bench.known()
    assert await bench.verifier.check(known) == Caller("service:provisioner", service="provisioner")
    assert bench.api.asked == [{"token": known, "audiences": ["catalyst-billing"]}]


@pytest.mark.parametrize(
    "how", [{"audience": "catalyst-catalog"}, {"account": "system:serviceaccount:other:provisioner"}, {"account": "ada"}]
)  # fmt: skip
async def test_another_audience_and_an_account_that_nobody_named_are_refused(bench: Bench, how: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        await bench.verifier.check(bench.known(**how))


async def test_a_yes_of_a_server_that_knows_no_audiences_is_none(bench: Bench) -> None:
    bench.api.knows_audiences = False
    with pytest.raises(Unauthenticated):
        await bench.verifier.check(bench.known())


async def test_a_person_s_token_is_never_shown_to_the_cluster(bench: Bench, tmp_path: Path) -> None:
    for foreign in (Issuer.open(tmp_path).token("ada"), token(iss="https://login.example"), "rubbish", ""):
        with pytest.raises(ForeignToken):
            await bench.verifier.check(foreign)
    assert bench.api.asked == []


async def test_an_answer_is_used_for_a_minute_and_not_longer(bench: Bench) -> None:
    known = bench.known()
    await asyncio.gather(*(bench.verifier.check(known) for _ in range(20)))
    bench.now += MOST_CACHED - 1
    await bench.verifier.check(known)
    assert len(bench.api.asked) == 1
    bench.api.accounts.clear()  # the account was deleted
    bench.now += 2
    with pytest.raises(Unauthenticated):
        await bench.verifier.check(known)


@pytest.mark.parametrize(("expiry", "asked"), [(5, 2), ("soon", 3)])
async def test_no_answer_outlives_its_token(bench: Bench, expiry: Any, asked: int) -> None:
    known = bench.known(exp=int(bench.now) + expiry if isinstance(expiry, int) else expiry)
    await bench.verifier.check(known)
    await bench.verifier.check(known)
    bench.now += 6
    await bench.verifier.check(known)
    assert len(bench.api.asked) == asked


@pytest.mark.parametrize("status", [500, 403, 429])
async def test_when_the_cluster_cannot_say_nobody_is_let_in(bench: Bench, status: int) -> None:
    known = bench.known()
    bench.api.status = status
    with pytest.raises(IssuerUnavailable):
        await bench.verifier.check(known)
    bench.api.status = 201
    assert (await bench.verifier.check(known)).service == "provisioner"


async def test_when_the_cluster_is_away_nobody_new_is_let_in(bench: Bench) -> None:
    known, other = bench.known(), bench.known(jti="other")
    await bench.verifier.check(known)
    await bench.api.server.stop()
    assert (await bench.verifier.check(known)).service == "provisioner"
    with pytest.raises(IssuerUnavailable):
        await bench.verifier.check(other)
    bench.now += MOST_CACHED + 1
    with pytest.raises(IssuerUnavailable):
        await bench.verifier.check(known)


class Slow(Web):
    """Questions that wait until they are let, and say how many there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.now = self.most = self.all = 0

    async def post(self, url: str, body: Any) -> Any:
        self.now, self.all = self.now + 1, self.all + 1
        self.most = max(self.most, self.now)
        await self.let.wait()
        self.now -= 1
        return {"status": {"authenticated": False}}


async def test_a_flood_of_made_up_tokens_asks_a_few_at_a_time_and_turns_the_rest_away() -> None:
    web = Slow()
    verifier = TokenReviewVerifier(
        "https://api.example", web=web, issuer=CLUSTER, audience="catalyst-billing", workloads={ACCOUNT: "provisioner"}
    )
    flood = [asyncio.create_task(verifier.check(token(jti=str(n)))) for n in range(AT_ONCE + WAITING + 50)]

    def are_turned_away() -> bool:
        return web.now == AT_ONCE and sum(task.done() for task in flood) == 50

    await eventually(are_turned_away, within=60)
    web.let.set()
    ends = await asyncio.gather(*flood, return_exceptions=True)
    assert (web.most, web.all) == (AT_ONCE, AT_ONCE + WAITING)
    assert [type(end) for end in ends] == [Unauthenticated] * (AT_ONCE + WAITING) + [IssuerUnavailable] * 50
    await verifier.close()


async def test_however_many_are_refused_who_is_known_stays_known(bench: Bench) -> None:
    known = bench.known()
    await bench.verifier.check(known)
    for n in range(MOST_ANSWERS + 1):
        bench.verifier._keep(str(n).encode(), _Answer(None, bench.now + 10))
    await bench.verifier.check(known)
    assert len(bench.api.asked) == 1
    assert len(bench.verifier._refusals) == MOST_ANSWERS


async def test_the_settings_say_who_is_trusted(bench: Bench, tmp_path: Path) -> None:
    issuer = Issuer.open(tmp_path / "issuer")
    told: dict[str, Any] = {
        "kubernetes_url": bench.api.server.url,
        "kubernetes_token_file": tmp_path / "own",
        "workloads": {ACCOUNT: "provisioner"},
    }
    both = verifier("billing", DaemonSettings(jwks_file=tmp_path / "issuer" / "jwks.json", **told))
    assert (await both.check(bench.known())).service == "provisioner"
    assert (await both.check(issuer.token("ada"))).subject == "ada"
    # Without being named, the development issuer is no issuer of a daemon that has another.
    outside = verifier("billing", DaemonSettings(**told))
    with pytest.raises(ForeignToken):
        await outside.check(issuer.token("ada"))
    for trusted in (both, outside):
        await trusted.close()
