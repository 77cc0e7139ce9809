"""Addresses that are told what happens to an Organization: what each was sent, what it answered, and sending it again."""

from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_HOOKS = "/console/organizations/{org:str}/webhooks"
_HOOK = _HOOKS + "/{webhook:str}"
VERBS = {"enable": "enable", "disable": "disable", "rotate": "rotateSecret", "test": "test", "replay": "replay"}
"""What may be done with one, as the contract calls it."""


@page(_HOOKS)
async def every(at: Visit) -> Shown:
    """All of an Organization."""
    return await _every(at)


async def _every(at: Visit, faults: Faults = NONE, made: Answer | None = None) -> Shown:
    return at.show(
        "webhooks.html",
        title=f"Webhooks of {at.names['org']}",
        tab="webhooks",
        org=_org(at),
        rows=await at.api.all(f"/v1/{_org(at)}/webhooks", "webhooks"),
        made=made,
        given=at.form,
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action(_HOOKS)
async def create(at: Visit) -> Shown:
    """A new one. A secret that was drawn is on the page that answers, and never again."""
    wish = {"url": at.form.get("webhook.url", "").strip(), "types": at.form.get("webhook.types", "").split()}
    try:
        made = await at.api.send("POST", f"/v1/{_org(at)}/webhooks", wish)
    except REFUSALS as refused:
        return await _every(at, Faults.of(refused))
    return await _every(at, made=made)


@page(_HOOK)
async def webhook(at: Visit) -> Shown:
    """One of them, with what it was sent."""
    return await _webhook(at)


async def _webhook(at: Visit, faults: Faults = NONE, made: Answer | None = None) -> Shown:
    one, found = await together(
        at.api.get(f"/v1/{_name(at)}"), at.api.get(f"/v1/{_name(at)}/deliveries", pageSize=100)
    )  # fmt: skip - one call
    return at.show(
        "webhook.html",
        title=one["url"],
        org=_org(at),
        one=one,
        deliveries=found["webhookDeliveries"],
        made=made,
        faults=faults,
        status=409 if faults else 200,
    )  # fmt: skip - one call


@action(_HOOK + "/delete")
async def delete(at: Visit) -> Shown:
    """Take it away, with its log and its secrets."""
    one = await at.api.get(f"/v1/{_name(at)}")
    try:
        await at.api.send("DELETE", f"/v1/{_name(at)}", etag=one["etag"])
    except REFUSALS as refused:
        return await _webhook(at, Faults.of(refused))
    return at.go(f"/console/{_org(at)}/webhooks")


@action(_HOOK + "/{verb:str}")
async def act(at: Visit) -> Shown:
    """Enable, disable, try it, give it another secret, or send again what it was sent."""
    verb = at.names["verb"]
    body = {"disable": {"reason": at.form.get("says", "")}, "replay": {"delivery": at.form.get("delivery", "")}}
    try:
        said = await at.api.send("POST", f"/v1/{_name(at)}:{VERBS.get(verb, verb)}", body.get(verb, {}))
    except REFUSALS as refused:
        return await _webhook(at, Faults.of(refused))
    if verb == "rotate":
        return await _webhook(at, made=said)
    return at.go(f"/console/{_name(at)}")


def _org(at: Visit) -> str:
    return f"organizations/{at.names['org']}"


def _name(at: Visit) -> str:
    return f"{_org(at)}/webhooks/{at.names['webhook']}"


PAGES = (every, create, webhook, delete, act)
