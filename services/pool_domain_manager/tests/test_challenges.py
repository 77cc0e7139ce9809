"""Values for certificate issuers: many at one name, each its own, in kept zones and in zones of names."""

import asyncio

import pytest
from catalyst.pooldomain.v1.service_pb2 import CleanUpChallengeRequest, GetZoneRequest, PresentChallengeRequest
from catalyst.pooldomain.v1.service_pb2_grpc import ZoneServiceStub
from catalyst_sdk.dns import Change, text_data
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of

from .calls import FQDN, made_active
from .conftest import Dns, Start, on_both_servers
from .zone_calls import DOMAIN, ZONE, admin, applied, made_zone, owner, planned, upsert

pytestmark = pytest.mark.either_database

MANY = [f"value-{n}" for n in range(100)]


def present(name: str, value: str) -> PresentChallengeRequest:
    return PresentChallengeRequest(fqdn=name, value=value)


def clean(name: str, value: str) -> CleanUpChallengeRequest:
    return CleanUpChallengeRequest(fqdn=name, value=value)


async def held(dns: Dns, zone: str, name: str) -> set[str]:
    state = await dns.backend.get_zone(zone=f"{zone}.")
    found = state.find(f"{name}.", "TXT") if state else None
    return set(found.records) if found else set()


async def becomes(dns: Dns, zone: str, name: str, *values: str) -> None:
    wanted = {text_data(value) for value in values}

    async def is_so() -> bool:
        return await held(dns, zone, name) == wanted

    await eventually(is_so, within=60, what=f"{name} has {len(wanted)} values")


@on_both_servers
async def test_a_hundred_values_at_one_name_are_all_there_and_each_clean_up_removes_its_own(
    start: Start, dns: Dns
) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        name = f"_acme-challenge.{DOMAIN}"
        asked = owner(daemon)
        await asyncio.gather(*(asked.PresentChallenge(present(name, value), timeout=60) for value in MANY))
        await becomes(dns, DOMAIN, name, *MANY)
        await asyncio.gather(*(asked.CleanUpChallenge(clean(name, value), timeout=60) for value in MANY[::2]))
        await becomes(dns, DOMAIN, name, *MANY[1::2])
        await asyncio.gather(
            *(asked.CleanUpChallenge(clean(name, value), timeout=60) for value in [*MANY, "never there"])
        )
        await becomes(dns, DOMAIN, name)


async def test_values_of_others_at_the_name_stay_at_the_apex_too(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        await applied(daemon, await planned(daemon, upsert("@", "TXT", "v=spf1 -all")))
        stranger = Change(f"_acme-challenge.{DOMAIN}.", "TXT", 60, ('"somebody-elses"',))
        await dns.backend.apply(zone=f"{DOMAIN}.", changes=(stranger,))
        asked = owner(daemon)
        for name, other in ((DOMAIN, "v=spf1 -all"), (f"_acme-challenge.{DOMAIN}", "somebody-elses")):
            answer = await asked.PresentChallenge(present(f"{name}.", "mine"))
            assert answer.zone == ZONE
            await becomes(dns, DOMAIN, name, other, "mine")
            await _seen(daemon, answer.revision)
            await asked.CleanUpChallenge(clean(name, "mine"))
            await becomes(dns, DOMAIN, name, other)


async def _seen(daemon: RunningDaemon, revision: int) -> None:
    async def is_so() -> bool:
        return bool((await admin(daemon).GetZone(GetZoneRequest(name=ZONE))).revision >= revision)

    await eventually(is_so, within=60, what=f"the zone shows revision {revision}")


async def test_the_zone_of_a_name_takes_challenges_by_its_longest_suffix(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        name = f"_acme-challenge.api.{FQDN}"
        org = daemon.member(ZoneServiceStub, "omantel")
        assert (await org.PresentChallenge(present(name, "one"))).zone == f"zones/{FQDN}"
        await becomes(dns, FQDN, name, "one")
        await org.CleanUpChallenge(clean(name, "one"))
        await becomes(dns, FQDN, name)


async def test_what_cannot_be_a_challenge_is_refused_before_any_call(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        asked = owner(daemon)
        assert await reason_of(asked.PresentChallenge(present("_acme-challenge.no.where", "x"))) == "ZONE_NOT_FOUND"
        assert await reason_of(asked.PresentChallenge(present(f"a..{DOMAIN}", "x"))) == "RECORD_INVALID"
        assert await reason_of(asked.PresentChallenge(present(f"_a.{DOMAIN}", "\x07"))) == "RECORD_INVALID"
        await applied(daemon, await planned(daemon, upsert("_acme-challenge", "CNAME", "elsewhere.example.")))
        taken = present(f"_acme-challenge.{DOMAIN}", "x")
        assert await reason_of(asked.PresentChallenge(taken)) == "RECORD_INVALID"
        for stranger, reason in ((("rival", "org-admin"), "ZONE_NOT_FOUND"), (("acme", "org-viewer"), "CALL_DENIED")):
            stub = daemon.member(ZoneServiceStub, *stranger)
            assert await reason_of(stub.PresentChallenge(present(f"_a.{DOMAIN}", "x"))) == reason
