"""The wizard: seven steps to the plan that the command line makes too. What was typed is kept here, not in the browser."""

import secrets
from collections.abc import Mapping
from typing import Any

from catalyst_sdk import Code, Refused

from . import choices, plans, servers, wishes
from .asking import together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page
from .wishes import STEPS, Step, Wish

_STEP = "/console/new/{draft:str}/{step:str}"
_PARTS = {
    "organization": choices.organization, "topology": choices.topology, "provider": choices.provider,
    "credentials": choices.credentials, "components": choices.components, "domain": choices.domain,
}  # fmt: skip


class NoSuchWish(Refused):
    code, reason, message = Code.NOT_FOUND, "DRAFT_NOT_FOUND", "there is no unfinished Sovereign {id}; begin a new one"


@page("/console/new")
async def begin(at: Visit) -> Shown:
    """Where wishes begin, and those that were not finished."""
    async with at.work.reading() as tx:
        rows = await tx.drafts(at.person.subject)
    return at.show("new.html", title="New Sovereign", rows=rows)


@action("/console/new")
async def start(at: Visit) -> Shown:
    """A new wish."""
    id = f"w-{secrets.token_hex(6)}"
    await _keep(at, id, wishes.START)
    return at.go(f"/console/new/{id}/organization")


@action("/console/new/{draft:str}/drop")
async def drop(at: Visit) -> Shown:
    """Forget a wish; nothing was made of it."""
    async with at.work.transaction() as tx:
        await tx.drop_draft(at.names["draft"], at.person.subject)
    return at.go("/console/new")


@page(_STEP)
async def step(at: Visit) -> Shown:
    """One step, as far as it was filled in."""
    wish, one = await _wish(at), _step(at)
    if one.id == "review":
        return await _review(at, wish)
    if at.query.get("provider"):  # another cloud was chosen: what it offers is shown
        wish = wishes.with_form(wish, "provider", {"provider": at.query["provider"]})
    if one.id == "domain":
        wish = await choices.proposed(at.api, wish)
    return await _show(at, wish, one)


async def _show(at: Visit, wish: Wish, one: Step, faults: Faults = NONE, **more: Any) -> Shown:
    part, so_far = await together(_PARTS[one.id](at.api, wish), _so_far(at, wish, one))
    return at.show(
        f"wizard_{one.id}.html",
        title=f"{one.label}: new Sovereign",
        status=422 if faults else 200,
        steps=STEPS,
        step=one,
        wish=wish,
        faults=faults,
        draft=at.names["draft"],
        so_far=so_far,
        **part,
        **{"came": {}, **more},
    )  # fmt: skip - one call


@action(_STEP)
async def filled(at: Visit) -> Shown:
    """A step, filled in: kept, checked, and the next one; the last leads to a plan."""
    one = _step(at)
    wish = wishes.with_form(await _wish(at), one.id, at.form)
    await _keep(at, at.names["draft"], wish)
    if one.id == "review":
        return await _planned(at, wish)
    faults = await choices.faults(at.api, wish, one)
    if faults:
        return await _show(at, wish, one, faults)
    if wishes.after(one.id) == "review":
        return await _planned(at, wish)
    return at.go(f"/console/new/{at.names['draft']}/{wishes.after(one.id)}")


@action(_STEP + "/so-far")
async def so_far(at: Visit) -> Shown:
    """What the wish comes to with what stands in the form now; nothing is kept."""
    one = _step(at)
    wish = wishes.with_form(await _wish(at), one.id, at.form)
    values = await _so_far(at, wish, one)
    return at.show("so_far.html", title="", wish=wish, step=one, so_far=values)


async def _so_far(at: Visit, wish: Wish, one: Step) -> dict[str, Any]:
    return await choices.so_far(at.api, wish, one)


@action(_STEP + "/toggle")
async def toggle(at: Visit) -> Shown:
    """A component in or out, with all that comes along."""
    wish, one = await _wish(at), _step_of("components")
    try:
        selected, came = await choices.toggled(at.api, wish, at.form.get("toggle", ""))
    except REFUSALS as refused:
        return await _show(at, wish, one, Faults.of(refused))
    wish = {**wish, "selected": selected}
    await _keep(at, at.names["draft"], wish)
    return await _show(at, wish, one, came=came)


@action(_STEP + "/credential")
async def add_credential(at: Visit) -> Shown:
    """A secret, straight to the daemon that seals it: it passes here and is kept nowhere else."""
    wish, one = await _wish(at), _step_of("credentials")
    values = {name.removeprefix("values."): value for name, value in at.form.items() if name.startswith("values.")}
    id = at.form.get("credential_id", "").strip()
    credential = {"kind": "cloud_provider", "provider": wish.get("provider", "")}
    if organization := wish.get("organization.slug"):
        credential["organization"] = organization
    try:
        body = {"credential": credential, "credentialId": id, "values": values}
        made = await at.api.send("POST", "/v1/credentials", body)
    except REFUSALS as refused:
        return await _show(at, wish, one, Faults.of(refused, under=("credential.",)))
    await _keep(at, at.names["draft"], {**wish, "credential": made["name"]})
    return at.go(f"/console/new/{at.names['draft']}/credentials")


async def _planned(at: Visit, wish: Wish) -> Shown:
    """The Sovereign as a draft of the provisioner, and a plan of it."""
    last = _step_of("domain")
    try:
        plan = await choices.plan(at.api, wish)
    except REFUSALS as refused:
        layout = servers.places(await choices.layout_of(at.api, wish))
        faults = choices.named(Faults.of(refused, under=choices.UNDER), layout)
        back = _step_of(wishes.first_wrong(list(faults), until="domain") or "domain")
        return await _show(at, wish, back if back else last, faults)
    await _keep(at, at.names["draft"], {**wish, "plan": plan["name"]})
    return at.go(f"/console/new/{at.names['draft']}/review")


async def _review(at: Visit, wish: Wish) -> Shown:
    if not wish.get("plan"):
        return at.go(f"/console/new/{at.names['draft']}/organization")
    values = await plans.whole(at.api, wish["plan"])
    return at.show(
        "wizard_review.html",
        title="Review: new Sovereign",
        steps=STEPS,
        step=_step_of("review"),
        wish=wish,
        draft=at.names["draft"],
        faults=NONE,
        form=at.form,
        **values,
    )  # fmt: skip - one call


async def _wish(at: Visit) -> Wish:
    """The wish as it was kept. Raises NoSuchWish."""
    async with at.work.reading() as tx:
        found: Mapping[str, Any] | None = await tx.draft(at.names["draft"], at.person.subject)
    if found is None:
        raise NoSuchWish(id=at.names["draft"])
    return found


async def _keep(at: Visit, id: str, wish: Wish) -> None:
    async with at.work.transaction() as tx:
        await tx.keep_draft(id, at.person.subject, wish)


def _step(at: Visit) -> Step:
    return _step_of(at.names["step"])


def _step_of(id: str) -> Step:
    found = wishes.step_of(id)
    if found is None:
        raise NoSuchWish(id=id)
    return found


PAGES = (begin, start, drop, step, filled, so_far, toggle, add_credential)
