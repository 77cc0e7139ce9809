"""Making plans and showing them, for the commands that begin with one."""

from typing import Any

from catalyst_cli.api import Api, Refused, new_request_id
from catalyst_cli.failures import Failure
from catalyst_cli.output import err, money, word


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
    """What a person wants to know before saying yes, on stderr."""
    kinds: dict[str, int] = {}
    for change in plan.get("changes", ()):
        action = word(change["action"]).removeprefix("ACTION_").lower()
        kinds[action] = kinds.get(action, 0) + 1
    counted = ", ".join(f"{n} to {action}" for action, n in sorted(kinds.items())) or "none"
    cost = ((plan.get("cost") or {}).get("after") or {}).get("total") or {}
    err.print(f"plan      {plan['name']}", markup=False)
    err.print(f"resources {counted}; components {len(plan.get('components', ()))}; steps {len(plan.get('steps', ()))}")
    err.print(f"cost      {money(cost.get('month'))} a month")
    for finding in plan.get("findings", ()):
        err.print(f"{word(finding['severity']).lower():<9} {_finding(finding)}", markup=False)
    err.print(f"hash      {plan['hash']}")


def _finding(finding: dict[str, Any]) -> str:
    field = f"{finding['field']}: " if finding.get("field") else ""
    remedy = f" ({finding['remedy']})" if finding.get("remedy") else ""
    return f"{finding['code']}: {field}{finding['message']}{remedy}"
