"""The Sovereigns that a person may see, and one of them from every side."""

from typing import Any

from . import words
from .asking import together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_ONE = "/console/sovereigns/{sovereign:str}"
_MINUTES = ("10", "60", "240", "480")


@page("/console/sovereigns")
async def every(at: Visit) -> Shown:
    """All of them, the newest first."""
    rows = await at.api.all("/v1/sovereigns", "sovereigns")
    return at.show("sovereigns.html", title="Sovereigns", rows=rows)


@page(_ONE)
async def overview(at: Visit) -> Shown:
    """How it does: conditions, clusters, the run that goes on, and the runs before."""
    return await _overview(at)


async def _overview(at: Visit, faults: Faults = NONE) -> Shown:
    name = _name(at)
    one, runs = await together(at.api.get(f"/v1/{name}"), at.api.get(f"/v1/{name}/runs", pageSize=20))
    going = next((r for r in runs["runs"] if not r.get("endTime")), None)
    return at.show(
        "sovereign.html",
        title=at.names["sovereign"],
        tab="",
        one=one,
        runs=runs["runs"],
        going=going,
        faults=faults,
        may=may(one, going),
        status=409 if faults else 200,
    )  # fmt: skip - one call


def may(one: dict[str, Any], going: dict[str, Any] | None) -> dict[str, str]:
    """Intents of which a plan can be made now, with their words."""
    state = words.bare(one["state"])
    if going or state == "DESTROYED":
        return {}
    made = {"REPAIR": "Plan a repair", "UPGRADE": "Plan an upgrade"} if state == "ACTIVE" else {}
    return {"APPLY": "Plan as it is described"} | made | ({"DESTROY": "Destroy …"} if state != "DRAFT" else {})


@page(_ONE + "/components")
async def components(at: Visit) -> Shown:
    """What is installed in each of its clusters."""
    name = _name(at)
    one, found = await together(
        at.api.get(f"/v1/{name}"), at.api.all(f"/v1/{name}/clusters/-/components", "components")
    )
    return at.show(
        "components.html", title=f"Components of {at.names['sovereign']}", tab="components", one=one, rows=found
    )


@page(_ONE + "/ledger")
async def ledger(at: Visit) -> Shown:
    """Everything that was made for it at a cloud, from the intent to its end."""
    name = _name(at)
    one, found = await together(at.api.get(f"/v1/{name}"), at.api.all(f"/v1/{name}/ledger", "entries"))
    return at.show("ledger.html", title=f"Ledger of {at.names['sovereign']}", tab="ledger", one=one, rows=found)


@page(_ONE + "/access")
async def access(at: Visit) -> Shown:
    """Who got into its clusters, and until when."""
    return await _access(at)


async def _access(at: Visit, faults: Faults = NONE, kubeconfig: str = "") -> Shown:
    name = _name(at)
    one, found = await together(at.api.get(f"/v1/{name}"), at.api.all(f"/v1/{name}/grants", "grants"))
    return at.show(
        "access.html",
        title=f"Access to {at.names['sovereign']}",
        tab="access",
        one=one,
        rows=found,
        faults=faults,
        kubeconfig=kubeconfig,
        clusters=[(words.leaf(c["name"]),) * 2 for c in one["clusters"]],
        minutes=[(m, words.span(60 * int(m))) for m in _MINUTES],
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action(_ONE + "/access")
async def give(at: Visit) -> Shown:
    """A kubeconfig for a while. It is shown in this answer only, and kept nowhere."""
    body = {name: at.form[name] for name in ("cluster", "role", "reason") if at.form.get(name)}
    body["ttl"] = f"{60 * int(at.form.get('minutes') or 60)}s"
    try:
        given = await at.api.send("POST", f"/v1/{_name(at)}:issueKubeconfig", body)
    except REFUSALS as refused:
        return await _access(at, Faults.of(refused))
    return await _access(at, kubeconfig=given["kubeconfig"])


@action(_ONE + "/access/{grant:str}/revoke")
async def revoke(at: Visit) -> Shown:
    """Its end, before its time."""
    try:
        await at.api.send(
            "POST", f"/v1/{_name(at)}/grants/{at.names['grant']}:revoke", {"reason": "revoked in the console"}
        )
    except REFUSALS as refused:
        return await _access(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}/access")


@action(_ONE + "/plans")
async def plan(at: Visit) -> Shown:
    """A fresh plan with an intent; it is looked at before anything happens."""
    try:
        made = await at.api.send("POST", f"/v1/{_name(at)}/plans", {"intent": f"INTENT_{at.form.get('intent', '')}"})
    except REFUSALS as refused:
        return await _overview(at, Faults.of(refused))
    return at.go(f"/console/{made['name']}")


@action(_ONE + "/delete")
async def delete(at: Visit) -> Shown:
    """The record of one that has nothing outside goes."""
    one = await at.api.get(f"/v1/{_name(at)}")
    try:
        await at.api.send("DELETE", f"/v1/{_name(at)}", etag=one["etag"])
    except REFUSALS as refused:
        return await _overview(at, Faults.of(refused))
    return at.go("/console/sovereigns")


def _name(at: Visit) -> str:
    return f"sovereigns/{at.names['sovereign']}"


PAGES = (every, overview, components, ledger, access, give, revoke, plan, delete)
