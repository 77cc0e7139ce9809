"""Names: pools and who holds what in them, zones with their chain of trust, moves of domains, and what the world sees."""

from . import words
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_ZONE = "/console/zones/{zone:str}"
_MOVING = ("", "ABSENT", "SETTLED", "UNSPECIFIED")


@page("/console/domains")
async def every(at: Visit) -> Shown:
    """Pools, the names in them, and zones."""
    pools, names, zones = await together(
        at.api.all("/v1/pools", "pools"),
        at.api.all("/v1/pools/-/allocations", "allocations"),
        at.api.all("/v1/zones", "zones"),
    )  # fmt: skip - one call
    wanted = at.query.get("q", "").lower()
    shown = [one for one in names if wanted in one["fqdn"].lower() or wanted in one["owner"].lower()]
    # A zone that holds a pool is signed as its pool says; one that was delegated says so itself.
    signed = {p["zone"] for p in pools if (p.get("dnssec") or {}).get("enabled")}
    signed |= {z["name"] for z in zones if (z.get("dnssec") or {}).get("enabled")}
    return at.show(
        "domains.html", title="Domains", pools=pools, names=shown, zones=zones, signed=signed, q=at.query.get("q", "")
    )


@page("/console/pools/{pool:str}/allocations/{label:str}")
async def allocation(at: Visit) -> Shown:
    """One name: what it points to, its conditions, and its history."""
    name = f"pools/{at.names['pool']}/allocations/{at.names['label']}"
    one, history = await together(at.api.get(f"/v1/{name}"), at.api.all(f"/v1/{name}/history", "entries"))
    return at.show("allocation.html", title=one["fqdn"], one=one, history=history)


@page(_ZONE)
async def zone(at: Visit) -> Shown:
    """One zone: who signs it, who delegates it, and whether the two agree."""
    return await _zone(at)


async def _zone(at: Visit, faults: Faults = NONE) -> Shown:
    name = _name(at)
    one, trust, delegation = await together(
        at.api.get(f"/v1/{name}"), _perhaps(at, f"/v1/{name}/dnssec"), _perhaps(at, f"/v1/{name}/delegation")
    )
    return at.show(
        "zone.html",
        title=at.names["zone"],
        tab="",
        one=one,
        chain=chain(at.names["zone"], trust),
        trust=trust,
        delegation=delegation,
        faults=faults,
        status=409 if faults else 200,
    )  # fmt: skip - one call


async def _perhaps(at: Visit, path: str) -> Answer | None:
    """What stands there; None where a zone has nothing of the kind."""
    try:
        return await at.api.get(path)
    except REFUSALS:
        return None


def chain(zone: str, trust: Answer | None) -> list[tuple[str, str, str]]:
    """The chain of trust from the parent down: what it is, a name, and `good`, `bad` or `wait`."""
    if not trust or not trust.get("keys"):
        return []
    parent = zone.partition(".")[2] or "."
    wished = {_ds(one) for one in trust["ds"]}
    seen = {_ds(one) for one in trust["dsObserved"]}
    links = [("zone", parent, "good")]
    links += [
        (
            "DS",
            f"{tag} at {parent}",
            "good" if (tag, digest) in wished & seen else "bad" if (tag, digest) in seen else "wait",
        )
        for tag, digest in sorted(wished | seen)
    ]
    links += [
        ("DNSKEY", f"{key['keyTag']} in {zone}", "good" if key.get("active") else "wait") for key in trust["keys"]
    ]  # fmt: skip
    return [*links, ("zone", zone, "good" if wished & seen else "wait")]


def _ds(one: Answer) -> tuple[int, str]:
    return int(one["keyTag"]), str(one["digest"]).lower()


@page(_ZONE + "/records")
async def records(at: Visit) -> Shown:
    """What the zone holds, and whose each record is."""
    one, found = await together(
        at.api.get(f"/v1/{_name(at)}"), at.api.all(f"/v1/{_name(at)}/recordSets", "recordSets")
    )  # fmt: skip
    return at.show("records.html", title=f"Records of {at.names['zone']}", tab="records", one=one, rows=found)


@page(_ZONE + "/drift")
async def drift(at: Visit) -> Shown:
    """Where wish and world differ."""
    one, found = await together(at.api.get(f"/v1/{_name(at)}"), at.api.all(f"/v1/{_name(at)}/drifts", "drifts"))
    return at.show("drift.html", title=f"Drift of {at.names['zone']}", tab="drift", one=one, rows=found)


@page(_ZONE + "/propagation")
async def propagation(at: Visit) -> Shown:
    """What each server of the parent and of the zone answers, now."""
    one, heard = await together(at.api.get(f"/v1/{_name(at)}"), at.api.heard(f"/v1/{_name(at)}/propagation"))
    rows = [message["observation"] for message in heard if "observation" in message]
    summary: Answer = next((message["summary"] for message in heard if "summary" in message), {})
    roles: dict[str, list[Answer]] = {}
    for row in rows:
        roles.setdefault(words.word(row["zoneRole"]).removeprefix("zone role "), []).append(row)
    return at.show(
        "propagation.html",
        title=f"Propagation of {at.names['zone']}",
        tab="propagation",
        one=one,
        roles=roles,
        summary=summary,
    )


@action(_ZONE + "/rollback")
async def rollback(at: Visit) -> Shown:
    """Give a domain that moves back to the name servers that it had."""
    delegation = await at.api.get(f"/v1/{_name(at)}/delegation")
    try:
        await at.api.send(
            "POST", f"/v1/{_name(at)}/delegation:rollback", {"reason": at.form.get("says", "")}, etag=delegation["etag"]
        )
    except REFUSALS as refused:
        return await _zone(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}")


def _name(at: Visit) -> str:
    return f"zones/{at.names['zone']}"


PAGES = (every, allocation, zone, records, drift, propagation, rollback)
