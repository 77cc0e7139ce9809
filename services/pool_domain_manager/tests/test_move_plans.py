"""Plans of moves: what is refused, what has to be forced by name, and what a move that may not begin leaves as it was."""

from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Delegation, DsRecord, Glue, Plan, RecordKey
from catalyst.pooldomain.v1.service_pb2 import CloseRollbackWindowRequest, PlanDelegationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import DelegationServiceStub
from catalyst_pool_domain_manager.workers.servers import Fault, Servers
from catalyst_sdk.dns import Change
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.fake_registrar import serving
from catalyst_testkit.servers import NatsServer

from .conftest import Dns
from .flip_bench import (
    CUT,
    DOMAIN,
    OLD_HOSTS,
    ORIGIN,
    World,
    begin,
    cuts,
    flipped,
    planned,
    prepared,
    rolled,
    stands,
    world,
)
from .test_identity import FakeRdap
from .zone_calls import HOSTS, applied, ended, upsert
from .zone_calls import planned as zone_planned

DMARC = f"_dmarc.{ORIGIN}"


async def test_a_plan_that_would_break_the_domain_is_refused_and_says_why(
    home: Path, dns: Dns, clean_nats: NatsServer
) -> None:
    async with (
        serving(FakeRdap()) as rdap, world(home, dns) as it, begin(it, home, clean_nats, rdap_url=f"{rdap.url}/rdap") as daemon
    ):  # fmt: skip
        await prepared(daemon, it)
        assert await reason_of(planned(daemon, it)) == "DOMAIN_LOCKED", "by the registry's word"
        rdap.statuses = ["client transfer prohibited"]
        for ns in ([], [HOSTS[0]], ["192.0.2.1", HOSTS[0]], ["ns1.other.test", "ns2.other.test"]):
            assert await reason_of(planned(daemon, it, ns=ns)) == "NAMESERVERS_INVALID", ns
        assert await reason_of(planned(daemon, it, ns=[f"ns.{DOMAIN}", HOSTS[0]])) == "GLUE_REQUIRED"
        glue = [Glue(host=f"ns.{DOMAIN}", addresses=["192.0.2.1"])]
        assert await reason_of(planned(daemon, it, ns=[f"ns.{DOMAIN}", HOSTS[0]], glue=glue)) == "NAMESERVERS_INVALID"
        strange = DsRecord(key_tag=1, algorithm=13, digest_type=2, digest="00" * 32)
        assert await reason_of(planned(daemon, it, ds=[strange])) == "PROTECTED_RECORD"
        assert await reason_of(planned(daemon, it, "registrarAccounts/nobodys")) == "REGISTRAR_ACCOUNT_NOT_FOUND"
        stranger = daemon.member(DelegationServiceStub, "rival")
        assert await reason_of(stranger.PlanDelegation(PlanDelegationRequest(name=CUT, target={"ns": HOSTS}))) == (
            "ZONE_NOT_FOUND"
        )
        it.fake.status = "expired"
        assert await reason_of(planned(daemon, it)) == "REGISTRAR_CREDENTIALS_REJECTED"
        it.fake.status = "validated"
        assert await reason_of(rolled(daemon)) == "ROLLBACK_WINDOW_CLOSED"
        assert (await cuts(daemon).CloseRollbackWindow(CloseRollbackWindowRequest(name=CUT))).state == (
            Delegation.STATE_NONE
        )
        await _signers(daemon, it)
        await _by_hand(daemon, it)
        await _mail(daemon, it)
        assert it.fake.writes == 0


async def _signers(daemon: RunningDaemon, it: World) -> None:
    """Two signers are of one algorithm, and the old host shows the key by which ours signs; else the DS goes first."""
    state = await it.ours.backend.get_zone(zone=ORIGIN)
    assert state is not None
    own, other = state.keys[0].dnskey, "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
    for shown, first in (((own,), "stay until"), ((own, other), "taken out first"), ((), "taken out first")):
        await it.old.backend.apply(zone=ORIGIN, changes=(Change(ORIGIN, "DNSKEY", 1, shown),))
        finding, registered = (await planned(daemon, it)).safety
        assert (registered.rule, registered.refused) == ("registered", False)
        assert registered.detail.endswith("at OVH sas")
        assert first in finding.detail, shown


async def _by_hand(daemon: RunningDaemon, it: World) -> None:
    """Without an account the domain has to be shown to be theirs."""
    found = {f.rule: f for f in (await planned(daemon, it, "")).safety}
    assert (found["ownership"].refused, found["ownership"].forceable) == (True, False)
    nonce = found["ownership"].detail.split('"')[1]
    challenge = Change(f"_catalyst-challenge.{ORIGIN}", "TXT", 1, (f'"{nonce}"',))
    await it.old.backend.apply(zone=ORIGIN, changes=(challenge,))
    assert "ownership" not in {f.rule for f in (await planned(daemon, it, "")).safety}


async def _mail(daemon: RunningDaemon, it: World) -> None:
    """What mail depends on is given up by name only."""
    other = upsert("_dmarc", "TXT", "v=DMARC1; p=none")
    key = RecordKey(name="_dmarc", type="TXT")
    await applied(daemon, await zone_planned(daemon, other, confirmed_removals=[key]))
    plan = await planned(daemon, it)
    found = {f.rule: f for f in plan.safety}
    assert (found["mail-txt-_dmarc"].refused, found["mail-txt-_dmarc"].forceable) == (True, True)
    assert DMARC in found["mail-txt-_dmarc"].detail
    assert await reason_of(flipped(daemon, plan)) == "PROTECTED_RECORD"
    assert await reason_of(flipped(daemon, plan, "replay", "mass-change")) == "PROTECTED_RECORD"


async def test_a_move_whose_ground_has_shifted_does_not_begin_and_nothing_is_written(
    home: Path, dns: Dns, clean_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    edns = AsyncMock(side_effect=[[Fault(HOSTS[0], "edns", "a question with EDNS is answered FORMERR")], *[[]] * 9])
    monkeypatch.setattr(Servers, "edns_faults", edns)
    async with world(home, dns) as it, begin(it, home, clean_nats) as daemon:
        await prepared(daemon, it)
        plan = await planned(daemon, it)
        await it.old.backend.apply(zone=ORIGIN, changes=(Change(f"www.{ORIGIN}", "A", 1, ("192.0.2.99",)),))
        assert await _why(daemon, plan) == "REPLAY_DIFFERS"
        cut = await stands(daemon)
        assert (cut.state, cut.HasField("snapshot")) == (Delegation.STATE_FAILED, False)
        assert "A of www.acme.example" in cut.conditions[0].message
        assert edns.await_count == 2, "the servers are looked at again until they trouble nobody"
        await it.old.backend.apply(zone=ORIGIN, changes=(Change(f"www.{ORIGIN}", "A", 1, ("192.0.2.80",)),))
        plan = await planned(daemon, it)
        assert [f.rule for f in plan.safety] == ["dnssec"]
        it.fake.domains[DOMAIN].ns = [*OLD_HOSTS, "ns3.old.test"]
        assert await _why(daemon, plan) == "PLAN_STALE"
        assert it.fake.writes == 0


async def _why(daemon: RunningDaemon, plan: Plan) -> str:
    """With what reason the move ended."""
    from google.rpc.error_details_pb2 import ErrorInfo

    operation = await ended(daemon, await flipped(daemon, plan))
    info = ErrorInfo()
    operation.error.details[0].Unpack(info)
    return str(info.reason)
