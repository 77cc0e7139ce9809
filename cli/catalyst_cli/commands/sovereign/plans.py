"""Making plans and showing them, for the commands that begin with one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from catalyst_cli.api import Api, Refused, new_request_id
from catalyst_cli.failures import Failure
from catalyst_cli.output import err, money, word
from catalyst_cli.progress import who_answers


def ensure_sovereign(api: Api, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The Sovereign with this spec, made as a draft where it is absent, updated where the file says something else."""
    try:
        known = api.get(f"/v1/{name}")
    except Refused as refused:
        if refused.exit_code != 3:
            raise
        return api.post("/v1/sovereigns", {"name": name, "spec": spec})
    draft_of_another_wish = word(known["state"]) == "DRAFT" and not _covers(known["spec"], spec)
    if word(known["state"]) == "DESTROYED" or draft_of_another_wish:  # neither has anything outside
        api.delete(f"/v1/{name}", etag=known["etag"])
        return api.post("/v1/sovereigns", {"name": name, "spec": spec})
    return known


def _covers(known: Any, wish: Any) -> bool:
    """Whether all of `wish` stands in `known`, which has defaults beside it. Field names may be in either style."""
    if isinstance(wish, dict):
        return isinstance(known, dict) and all(_covers(known.get(_camel(k)), v) for k, v in wish.items())
    if isinstance(wish, list):
        return isinstance(known, list) and len(known) == len(wish) and all(map(_covers, known, wish))
    return str(known) == str(wish)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def make(api: Api, name: str, intent: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """A fresh plan."""
    body = {"intent": f"INTENT_{intent}", **({"spec": spec} if spec else {})}
    return api.post(f"/v1/{name}/plans", body, once=new_request_id())


def require_applicable(plan: dict[str, Any]) -> None:
    """Raises Failure with every finding that stands in the way."""
    errors = [f for f in plan.get("findings", ()) if word(f["severity"]) == "ERROR"]
    if not plan["applicable"]:
        details = tuple(_finding(f) for f in errors)
        raise Failure("the plan cannot be applied", details=details, next_step="mend the file, plan again", exit_code=4)


def summary(plan: dict[str, Any]) -> None:
    """What a person wants to know before saying yes, on stderr: what happens, what it costs, what may hurt, who must agree."""
    for line in lines(plan):
        err.print(line, markup=False)


def lines(plan: dict[str, Any]) -> list[str]:
    """The plan in words, a line each."""
    expires = f", good until {plan['expireTime'][:16].replace('T', ' ')} UTC" if plan.get("expireTime") else ""
    found = [f"plan       {plan['name'] or '(not stored)'}{expires}", *_resources(plan), *_components(plan)]
    if release := (plan.get("inputs") or {}).get("release"):
        found.append(f"release    {release}")
    found += _cost(plan.get("cost") or {})
    steps = plan.get("steps", ())
    phases = ", ".join(f"{phase} {n}" for phase, n in Counter(step["phase"] for step in steps).items())
    found.append(f"steps      {len(steps)}{f' ({phases})' if phases else ''}")
    if steps and all(step.get("usualDuration") or step.get("gate") for step in steps):
        found.append(f"time       about {_longest(steps):.0f} s, as past runs took")
    for kept in (plan.get("destroy") or {}).get("kept", ()):
        found.append(f"kept       {kept}")
    found += [f"risk       {risk['code']}: {risk['message']}" for risk in plan.get("risks", ())]
    found += [f"{word(f['severity']).lower():<10} {_finding(f)}" for f in plan.get("findings", ())]
    found += [f"approval   {gate['kind']}: {gate['message']} ({who_answers(gate)})" for gate in plan.get("gates", ())]
    if plan.get("empty"):
        found.append("nothing would change")
    return [*found, f"hash       {plan['hash']}"]


_SIGNS = {"CREATE": "+", "UPDATE": "~", "REPLACE": "!", "DELETE": "-", "IMPORT": "<"}
_MOST = 40
"""Changes that are written out one by one; of a larger plan the counts are enough."""


def _resources(plan: dict[str, Any]) -> list[str]:
    rows = [(word(c["action"]).removeprefix("ACTION_"), c) for c in plan.get("changes", ())]
    moving = [(action, c) for action, c in rows if action != "NO_OP"]
    counted = ", ".join(f"{n} to {action.lower()}" for action, n in sorted(Counter(a for a, _ in moving).items()))
    found = [f"resources  {counted or 'none'}; {len(rows) - len(moving)} stay"]
    for action, c in moving[:_MOST]:
        paths = f" ({', '.join(c['changedPaths'])})" if c.get("changedPaths") else ""
        why = f": {c['reason']}" if c.get("reason") else ""
        found.append(f"  {_SIGNS.get(action, '?')} {c['cluster']}  {c['address']}{paths}{why}")
    if len(moving) > _MOST:
        found.append(f"  and {len(moving) - _MOST} more; see --output json")
    return found


def _components(plan: dict[str, Any]) -> list[str]:
    rows = [(word(c["action"]).removeprefix("ACTION_"), c) for c in plan.get("components", ())]
    counted = ", ".join(f"{n} to {action.lower()}" for action, n in sorted(Counter(a for a, _ in rows).items()))
    waves = max((int(c.get("wave", 0)) for _, c in rows), default=0)
    found = [f"components {counted or 'none'}{f'; {waves} waves' if waves else ''}"]
    for action, c in rows:
        if action in ("REMOVE", "UPGRADE"):
            versions = f"{c.get('previousVersion', '')} -> {c.get('version') or 'gone'}"
            found.append(f"  {'-' if action == 'REMOVE' else '~'} {c['cluster']}  {c['blueprint']} {versions}")
    return found


def _longest(steps: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of the longest way through the steps, which stand in an order of their needs."""
    over: dict[str, float] = {}
    for step in steps:
        begins = max((over.get(need, 0.0) for need in step.get("needs", ())), default=0.0)
        over[step["id"]] = begins + float(step.get("usualDuration", "0s").removesuffix("s"))
    return max(over.values())


def _cost(cost: dict[str, Any]) -> list[str]:
    after, before = cost.get("after") or {}, cost.get("before") or {}
    total, was = after.get("total") or {}, before.get("total") or {}
    hour = int(total.get("hourMicros", 0)) / 1_000_000
    currency = (total.get("month") or {}).get("currency", "")
    difference = (cost.get("difference") or {}).get("month")
    change = f"; {money(was.get('month'))} now, {_more(difference)}" if before.get("lines") else ""
    found = [f"cost       {money(total.get('month'))} a month, {hour:.4f} {currency} an hour{change}", *_bill(after)]
    return found + [f"unpriced   {name}; it is in no sum" for name in after.get("unpriced", ())]


def _more(difference: Mapping[str, Any] | None) -> str:
    """What the month's cost changes by."""
    minor = int((difference or {}).get("minor", 0))
    if not minor:
        return "no more"
    return f"{money({**(difference or {}), 'minor': str(abs(minor))})} {'more' if minor > 0 else 'less'}"


def _bill(after: Mapping[str, Any]) -> list[str]:
    """What is paid for, alike things in one line, the dearest first; what costs nothing is left out."""
    counted: Counter[tuple[str, str, str]] = Counter()
    minor: Counter[tuple[str, str, str]] = Counter()
    for line in after.get("lines", ()):
        month = (line.get("price") or {}).get("month") or {}
        key = (line.get("kind", ""), line.get("item", ""), month.get("currency", ""))
        counted[key] += 1
        minor[key] += int(month.get("minor", 0))
    rows = sorted(((cost, *key) for key, cost in minor.items() if cost), reverse=True)
    return [
        f"  {counted[kind, item, currency]:>2} {kind} {item}".rstrip()
        + f"  {money({'minor': str(cost), 'currency': currency})}"
        for cost, kind, item, currency in rows
    ]


def _finding(finding: dict[str, Any]) -> str:
    field = f"{finding['field']}: " if finding.get("field") else ""
    remedy = f" ({finding['remedy']})" if finding.get("remedy") else ""
    instead = ", ".join(name.rpartition("/")[2] for name in finding.get("alternatives", ()))
    return f"{finding['code']}: {field}{finding['message']}{remedy}{f'; instead: {instead}' if instead else ''}"
