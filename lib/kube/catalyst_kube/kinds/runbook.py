"""Runbook: what is done when something happens."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ..kind import AGE, Column, Kind, Part, Rule, Scope, Status


class Trigger(Part):
    kind: Literal["prometheus-alert", "cr-condition", "nats-event", "schedule"]
    config: dict[str, Any] = {}


class Action(Part):
    kind: Literal["scale", "restart", "rollback", "run-job", "switchover", "send-to-nats", "create-incident", "patch"]
    config: dict[str, Any] = {}


class Precondition(Part):
    check: Annotated[str, Field(min_length=1, max_length=1024)]


class Step(Part):
    run: Annotated[str, Field(max_length=4096)] = ""
    verify: Annotated[str, Field(max_length=4096)] = ""


class Approval(Part):
    approvers: Annotated[int, Field(ge=0, le=10)] = 0
    timeout_seconds: Annotated[int, Field(ge=60, le=86400)] | None = None


class RunbookSpec(Part):
    description: Annotated[str, Field(max_length=1024)] = ""
    trigger: Trigger
    action: Action
    preconditions: Annotated[list[Precondition], Field(max_length=64)] = []
    steps: Annotated[list[Step], Field(max_length=64)] = []
    rollback: Annotated[list[Step], Field(max_length=64)] = []
    cooldown: Annotated[str, Field(pattern="^[0-9]+(s|m|h)$")] = "5m"
    approval: Approval | None = None


class RunbookStatus(Status):
    fire_count: int = 0
    last_fired_at: str | None = None
    last_result: Literal["success", "failure", "skipped", "awaiting-approval"] | None = None
    last_error: str = ""


def _config(kind: str, key: str) -> Rule:
    return Rule(
        f"self.trigger.kind != '{kind}' || (has(self.trigger.config) && '{key}' in self.trigger.config)",
        f"a trigger {kind} needs config.{key}",
        "spec.trigger.config",
    )  # fmt: skip - one call


RUNBOOK = Kind(
    "catalyst.openova.io",
    "v1",
    "Runbook",
    "runbooks",
    ("rb", "rbs"),
    Scope.NAMESPACED,
    RunbookSpec,
    RunbookStatus,
    columns=(
        Column("Trigger", ".spec.trigger.kind"),
        Column("Action", ".spec.action.kind"),
        Column("Last", ".status.lastResult", priority=1),
        Column("Fires", ".status.fireCount", "integer", 1),
        AGE,
    ),
    rules=(
        _config("prometheus-alert", "alertName"),
        _config("cr-condition", "condition"),
        _config("nats-event", "subject"),
        _config("schedule", "cron"),
        Rule(
            "!has(self.steps) || self.steps.all(s, (has(s.run) && s.run != '') != (has(s.verify) && s.verify != ''))",
            "each step runs or verifies",
            "spec.steps",
        ),
    ),
)  # fmt: skip - a table
