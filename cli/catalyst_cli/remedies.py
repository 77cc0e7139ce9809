"""What to do about a refusal, by its reason: a command where there is one, else what the page of reasons says."""

import json
from collections.abc import Mapping
from importlib.resources import files

ASK_ANOTHER = "ask somebody else to say: "
NEXT_STEPS = {
    "ORDER_UNPAID": "pay the order, or pass --voucher CODE",
    "PLAN_STALE": "make the plan again: catalyst sovereign plan",
    "PLAN_HASH_MISMATCH": "read the plan again and apply with the hash that it shows",
    "RUN_IN_PROGRESS": "catalyst sovereign watch NAME",
    "TOKEN_REJECTED": "start `catalyst dev`, or set CATALYST_CLI_TOKEN_FILE",
    "GATE_SELF_APPROVAL": f"{ASK_ANOTHER}catalyst run approve RUN",
    "GATE_NOT_OPEN": "catalyst run get RUN",
    "BUDGET_EXCEEDED": "raise budget.monthly_limit in the file, or take less; then plan again",
    "NAME_TAKEN": "choose another label: catalyst name check",
    "ALREADY_COMMITTED": "catalyst name retarget NAME --target SLOT=ADDRESS changes where it points",
    "ALLOCATION_NOT_FOUND": "catalyst name list",
    "RESERVATION_EXPIRED": "reserve it again: catalyst name reserve NAME",
    "QUOTA_EXCEEDED": "give back what is not needed: `catalyst name list` shows what is held",
    "POOL_NOT_FOUND": "catalyst pool list",
    "POOL_NOT_EMPTY": "catalyst name list POOL",
    "ZONE_NOT_FOUND": "catalyst zone list",
    "SOVEREIGN_NOT_FOUND": "catalyst sovereign list",
    "CREDENTIAL_NOT_FOUND": "catalyst credential list",
    "ORGANIZATION_NOT_FOUND": "catalyst org list",
    "ENVIRONMENT_NOT_FOUND": "catalyst env list ORG",
    "APPLICATION_NOT_FOUND": "catalyst app list ENVIRONMENT",
    "PROMOTION_NOT_FOUND": "catalyst promotion list ENVIRONMENT",
    "WEBHOOK_NOT_FOUND": "catalyst webhook list ORG",
    "MEMBER_NOT_FOUND": "catalyst org members ORG",
    "BLUEPRINT_NOT_FOUND": "catalyst blueprint list",
    "VERSION_NOT_FOUND": "catalyst blueprint versions NAME --all",
    "SOURCE_NOT_FOUND": "catalyst catalog source list",
    "ISSUE_NOT_FOUND": "catalyst catalog issues",
    "VOUCHER_NOT_FOUND": "catalyst billing voucher list",
    "CAMPAIGN_NOT_FOUND": "catalyst billing campaign list",
    "PROVIDER_NOT_FOUND": "catalyst billing provider list, or catalyst plugins list for clouds",
    "PLUGIN_UNAVAILABLE": "catalyst plugins list",
    "DEAD_LETTER_NOT_FOUND": "catalyst events dead-letters list",
    "DEAD_LETTER_NOT_HANDLED": "mend what fails, then replay it again; or catalyst events dead-letters discard NAME",
    "DAEMON_NOT_FOUND": "name one of these daemons",
    "CELL_NOT_FOUND": "name one of the cells that `catalyst continuum witness verify SLOT` lists",
    "REGION_INVALID": "catalyst continuum plan SLOT, or name another region of the slot",
    "CONTINUUM_NOT_FOUND": "catalyst continuum list",
    "NOT_SUSPENDED": "catalyst continuum suspend SLOT, then repeat the command",
    "EPOCH_MOVED": "catalyst continuum get SLOT: its primary has moved",
    "PLAN_DRIFTED": "catalyst continuum plan SLOT: read the plan again",
    "APPROVER_IS_REQUESTER": f"{ASK_ANOTHER}catalyst continuum approve RUN",
    "INCARNATION_MISMATCH": "look at the cell again: catalyst continuum witness verify SLOT",
    "CELL_NOT_QUARANTINED": "see how the cells are: catalyst continuum witness verify SLOT",
    "BUS_UNAVAILABLE": "catalyst doctor",
    "STORE_UNAVAILABLE": "try again in a moment; `catalyst doctor` looks closer",
    "INTERNAL": "tell whoever runs the server the trace; its log has the rest",
    "REGISTRAR_NOT_FOUND": "catalyst registrar list",
    "REGISTRAR_ACCOUNT_NOT_FOUND": "catalyst registrar accounts list",
    "ETAG_MISMATCH": "read the resource again and repeat the command",
}
"""Commands, and words that fit them."""


def remedy(reason: str, metadata: Mapping[str, str]) -> str:
    """What to do; empty where the refusal's own sentence and its fields say all. A registrar's or a cloud's own advice leads."""
    return metadata.get("user_action", "") or NEXT_STEPS.get(reason, "") or _page().get(reason, "")


def _page() -> Mapping[str, str]:
    """What the page of reasons says, where it says more than that a field is to be mended or a name to be looked at."""
    found: Mapping[str, str] = json.loads(files("catalyst_cli").joinpath("remedies.json").read_text())
    return found
