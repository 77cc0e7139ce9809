"""Environments: what is installed in each, what it asks of changes, and Applications on their way into it."""

import re
from typing import Any

from . import words
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .organizations import TYPES
from .visits import Shown, Visit, action, page

_ENV = "/console/environments/{env:str}"
_POLICY = _ENV + "/policy"
_PROMOTION = _ENV + "/promotions/{promotion:str}"
_WINDOW = re.compile(r"([1-7](?:,[1-7])*) +([0-2][0-9]:[0-5][0-9]) +(\d+(?:\.\d+)?)h")


def organization_of(env: str) -> str:
    """Slug of the Organization whose Environment it is."""
    return env.rpartition("-")[0]


@page(_ENV)
async def environment(at: Visit) -> Shown:
    """Its Applications, backing services apart; promotions into it; what it asks of them."""
    return await _environment(at)


async def _environment(at: Visit, faults: Faults = NONE) -> Shown:
    one, applications, promotions, policy, siblings = await together(
        at.api.get(f"/v1/{_name(at)}"),
        at.api.all(f"/v1/{_name(at)}/applications", "applications"),
        at.api.get(f"/v1/{_name(at)}/promotions", pageSize=50),
        at.api.get(f"/v1/{_name(at)}/policy"),
        at.api.all(f"/v1/organizations/{organization_of(at.names['env'])}/environments", "environments"),
    )
    others = [words.leaf(row["name"]) for row in siblings if row["name"] != one["name"]]
    return at.show(
        "environment.html",
        title=at.names["env"],
        tab="",
        one=one,
        types=TYPES,
        org=f"organizations/{organization_of(at.names['env'])}",
        applications=[row for row in applications if not row["backing"]],
        services=[row for row in applications if row["backing"]],
        promotions=promotions["promotions"],
        policy=policy,
        others=[(name, name) for name in others],
        faults=faults,
        given=at.form,
        status=409 if faults else 200,
    )  # fmt: skip - one call


@action(_ENV + "/delete")
async def delete(at: Visit) -> Shown:
    """Take an empty one away."""
    one = await at.api.get(f"/v1/{_name(at)}")
    try:
        await at.api.send("DELETE", f"/v1/{_name(at)}", etag=one["etag"])
    except REFUSALS as refused:
        return await _environment(at, Faults.of(refused))
    return at.go(f"/console/organizations/{organization_of(at.names['env'])}")


@action(_ENV + "/promotions")
async def promote(at: Visit) -> Shown:
    """Ask for an Application of another Environment to come into this one."""
    wish = {
        "application": at.form.get("promotion.application", "").strip(),
        "source": f"environments/{at.form.get('promotion.source', '')}",
    }
    try:
        made = await at.api.send("POST", f"/v1/{_name(at)}/promotions", wish)
    except REFUSALS as refused:
        return await _environment(at, Faults.of(refused))
    return at.go(f"/console/{made['name']}")


@page(_PROMOTION)
async def promotion(at: Visit) -> Shown:
    """One of them: every gate with what is missing, who said yes, and the merge."""
    return await _promotion(at)


async def _promotion(at: Visit, faults: Faults = NONE) -> Shown:
    name = f"{_name(at)}/promotions/{at.names['promotion']}"
    one = await at.api.get(f"/v1/{name}")
    return at.show(
        "promotion.html",
        title=f"{one['application']} into {at.names['env']}",
        one=one,
        env=_name(at),
        faults=faults,
        status=409 if faults else 200,
    )  # fmt: skip - one call


@action(_PROMOTION + "/{verb:str}")
async def decide(at: Visit) -> Shown:
    """Say yes, demand it past the gates, or withdraw it."""
    name, verb = f"{_name(at)}/promotions/{at.names['promotion']}", at.names["verb"]
    try:
        body = {"reason": at.form.get("says", "")} if verb == "override" else {}
        await at.api.send("POST", f"/v1/{name}:{verb}", body)
    except REFUSALS as refused:
        return await _promotion(at, Faults.of(refused))
    return at.go(f"/console/{name}")


@page(_POLICY)
async def policy(at: Visit) -> Shown:
    """What the Environment asks of what comes into it."""
    return await _policy(at)


async def _policy(at: Visit, faults: Faults = NONE) -> Shown:
    one = await at.api.get(f"/v1/{_name(at)}/policy")
    return at.show(
        "policy.html",
        title=f"Policy of {at.names['env']}",
        tab="policy",
        one=one,
        env=_name(at),
        org=f"organizations/{organization_of(at.names['env'])}",
        given=at.form or asked_for(one),
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


def asked_for(policy: Answer) -> dict[str, str]:
    """A policy as the fields of its form."""
    hours = (words.seconds(policy.get("soak")) or 0) / 3600
    windows = (
        f"{','.join(map(str, one['weekdays']))} {one['start']} {(words.seconds(one['duration']) or 0) / 3600:g}h"
        for one in policy.get("changeWindows", ())
    )
    return {
        "required_approvals": str(policy.get("requiredApprovals", 0)),
        "soak": f"{hours:g}",
        "required_score": str(policy.get("requiredScore", 0)),
        "windows": "\n".join(windows),
        "time_zone": policy.get("timeZone", ""),
    }  # fmt: skip - a table


def wished(form: "dict[str, str]") -> tuple[dict[str, Any], dict[str, str]]:
    """The policy that a form asks for, and by field what cannot be read."""
    wish: dict[str, Any] = {"timeZone": form.get("time_zone", "").strip()}
    wrong: dict[str, str] = {}
    for field, name, make in (
        ("required_approvals", "requiredApprovals", int),
        ("required_score", "requiredScore", int),
        ("soak", "soak", lambda text: f"{float(text) * 3600:g}s"),
    ):
        try:
            wish[name] = make(form.get(field, "").strip() or "0")
        except ValueError:
            wrong[field] = "a number is wanted"
    wish["changeWindows"] = []
    for line in filter(None, (line.strip() for line in form.get("windows", "").splitlines())):
        if found := _WINDOW.fullmatch(line):
            days, start, hours = found.groups()
            one = {
                "weekdays": [int(d) for d in days.split(",")],
                "start": start,
                "duration": f"{float(hours) * 3600:g}s",
            }
            wish["changeWindows"].append(one)
        else:
            wrong["windows"] = f"“{line}” is no window; one is written 1,2,3 22:00 4h"
    return wish, wrong


@action(_POLICY)
async def set_policy(at: Visit) -> Shown:
    """Ask for something else from now on."""
    wish, wrong = wished(dict(at.form))
    if wrong:
        return await _policy(at, Faults("Some fields need another value.", "", wrong))
    one = await at.api.get(f"/v1/{_name(at)}/policy")
    mask = ",".join(sorted(wish))
    try:
        await at.api.send("PATCH", f"/v1/{_name(at)}/policy", wish, etag=one["etag"], updateMask=mask)
    except REFUSALS as refused:
        return await _policy(at, Faults.of(refused, under=("policy.",)))
    return at.go(f"/console/{_name(at)}/policy")


def _name(at: Visit) -> str:
    return f"environments/{at.names['env']}"


PAGES = (environment, delete, promote, promotion, decide, policy, set_policy)
