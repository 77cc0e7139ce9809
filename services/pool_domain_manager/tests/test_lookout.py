"""A move that is watched is looked at from all sides; the servers are real, of the registry there is a fake."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from catalyst_pool_domain_manager.domain import delegations
from catalyst_pool_domain_manager.domain.delegations import Snapshot, State
from catalyst_pool_domain_manager.workers.cuts import Cuts
from catalyst_pool_domain_manager.workers.lookout import Lookout
from catalyst_pool_domain_manager.workers.polled import Poll
from catalyst_sdk.dns import ZoneSpec
from catalyst_sdk.registrar import Target

from .conftest import Dns
from .domain.makers import NOON
from .flip_bench import OLD_HOSTS, ORIGIN, world
from .zone_calls import DOMAIN, HOSTS

OLD, NEW = Target(tuple(f"{host}." for host in OLD_HOSTS)), Target(tuple(f"{host}." for host in HOSTS))


async def test_while_a_move_is_watched_it_is_told_what_parent_old_servers_and_resolvers_say(
    home: Path, dns: Dns
) -> None:
    d = replace(
        delegations.none_yet(DOMAIN, "uid", "organizations/acme", NOON), state=State.WATCHING,
        snapshot=Snapshot("p", OLD, "", NOON), retain_until=NOON + timedelta(days=2),
    )  # fmt: skip
    async with world(home, dns, signed=False) as it:
        await it.ours.backend.create_zone(spec=ZoneSpec(ORIGIN, NEW.ns, "acme", (), signed=False, ttl=1))
        lookout = Lookout(Cuts(it.hints, Poll(it.hints)), (it.ours.address, it.old.address))

        async def told() -> dict[str, tuple[str, str]]:
            return {c.type: (c.status, c.message) for c in await lookout.look(d, NEW)}

        before = await told()
        assert before["Delegated"][0] == "False", "the parent does not show it yet"
        await it.delegate(HOSTS, ())
        after = await told()
        assert (after["Delegated"], after["OldServersAnswer"]) == (("True", ""), ("True", ""))
        cached = f"1 of 2 tell the new name servers; old: {it.old.address}"
        assert after["ResolversAgree"] == ("False", cached), "a resolver that has the old ones yet"
        it.old.kill()
        status, why = (await told())["OldServersAnswer"]
        assert (status, why.endswith("asks them until 2026-01-03T12:00:00Z")) == ("False", True), why
        assert all(host in why for host in OLD_HOSTS)
