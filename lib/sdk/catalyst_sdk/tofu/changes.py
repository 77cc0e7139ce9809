"""What the tool plans, as the contract of clouds says it, and whether it is still what was accepted. Pure.

A module has resources that cost something and bear a name, and parts of these (a subnet, a listener), which the
contract does not know. A part counts as a change of what it belongs to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..cloud_types import Action, Change
from .masks import is_marked, masked

ACTIONS: Mapping[tuple[str, ...], Action] = {
    ("no-op",): Action.NO_OP,
    ("read",): Action.NO_OP,
    ("create",): Action.CREATE,
    ("update",): Action.UPDATE,
    ("delete",): Action.DELETE,
    ("delete", "create"): Action.REPLACE,
    ("create", "delete"): Action.REPLACE,
    ("forget",): Action.NO_OP,
}
TAINTED = "replace_because_tainted"
"""The tool's word for a resource whose making was broken off."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What a resource of the module is in the cloud's own words."""

    kind: str
    name: str
    region: str
    labels: Mapping[str, str]
    size: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A resource of the module that belongs to another one: of this type, and with the same local name."""

    of: str


Describe = Callable[[str, Mapping[str, Any]], Resource | Part]
"""What a resource is, by its type and its values."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One line of the tool's plan. `values` are those after it, or before a delete, in clear: never kept, never shown."""

    address: str
    type: str
    local: str
    action: Action
    import_id: str
    """Of what exists already and will be taken into the state; empty: nothing of the kind."""
    reason: str
    replaces: tuple[str, ...]
    """Paths that make a replacement necessary."""
    id: str
    what: Resource | Part
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    paths: tuple[str, ...]
    values: Mapping[str, Any] = field(repr=False)

    @property
    def is_import(self) -> bool:
        """Whether it is taken into the state."""
        return bool(self.import_id)

    @property
    def normal(self) -> tuple[str, Action, tuple[str, ...]]:
        """What has to be equal between the plan that was accepted and the one that is carried out."""
        return (self.address, self.action, self.replaces)


def planned(shown: Mapping[str, Any], describe: Describe) -> list[Planned]:
    """The changes of `show -json` of a plan; what the tool only reads is left out."""
    raws = shown.get("resource_changes", ())
    return [_planned(raw, describe) for raw in raws if raw.get("mode") == "managed"]


def drifted(shown: Mapping[str, Any], describe: Describe) -> list[Planned]:
    """What a refresh-only plan found to be otherwise than the state has it."""
    raws = shown.get("resource_drift", ())
    return [_planned(raw, describe) for raw in raws if raw.get("mode") == "managed"]


def moves_outputs(shown: Mapping[str, Any]) -> bool:
    """Whether an output of the module would change."""
    return any(change["actions"] != ["no-op"] for change in shown.get("output_changes", {}).values())


def _planned(raw: Mapping[str, Any], describe: Describe) -> Planned:
    change = raw["change"]
    before, after = change.get("before") or {}, change.get("after") or {}
    values = after or before
    shown_before = _shown(before, change.get("before_sensitive"))
    shown_after = _shown(after, change.get("after_sensitive"), change.get("after_unknown"))
    return Planned(
        address=raw["address"],
        type=raw["type"],
        local=raw["name"],
        action=ACTIONS.get(tuple(change["actions"]), Action.UPDATE),
        import_id=str((change.get("importing") or {}).get("id", "")),
        reason=raw.get("action_reason") or "",
        replaces=tuple(sorted(".".join(map(str, path)) for path in change.get("replace_paths", ()))),
        id=str(before.get("id") or ""),
        what=describe(raw["type"], values),
        before=shown_before,
        after=shown_after,
        paths=_differing(change, before, after),
        values=values,
    )


def contract_changes(lines: Sequence[Planned]) -> tuple[Change, ...]:
    """As the contract shows it: one change for each resource, parts folded into what they belong to."""
    owners = {line.address: _change(line, line.what) for line in lines if isinstance(line.what, Resource)}
    for line in lines:
        if isinstance(line.what, Part) and line.action is not Action.NO_OP:
            owner = _owner(line, lines)
            if owner and (known := owners[owner.address]).action is Action.NO_OP:
                owners[owner.address] = replace(known, action=Action.UPDATE, paths=(*known.paths, line.address))
            elif owner and known.action is Action.UPDATE:
                owners[owner.address] = replace(known, paths=(*known.paths, line.address))
    return tuple(owners.values())


def gone_beyond(accepted: Iterable[Change], lines: Iterable[Planned]) -> list[str]:
    """Addresses at which more is planned now than was accepted.

    What was made meanwhile, by an earlier try of the same apply, is less. A resource that such a try left half made is
    made anew: it was never finished, so nothing is lost by it.
    """
    allowed = {change.address: change.action for change in accepted}
    return [line.address for line in lines if not _is_covered(line, allowed.get(line.address))]


def _is_covered(line: Planned, accepted: Action | None) -> bool:
    if line.action is Action.NO_OP or isinstance(line.what, Part):
        return True  # parts follow what they belong to, whose own line is judged
    if accepted in (Action.CREATE, Action.IMPORT):
        return line.action in (Action.CREATE, Action.UPDATE) or line.reason == TAINTED
    return line.action is accepted


def _change(line: Planned, what: Resource) -> Change:
    action = Action.IMPORT if line.is_import and line.action in (Action.NO_OP, Action.UPDATE) else line.action
    return Change(
        action=action,
        kind=what.kind,
        name=what.name,
        address=line.address,
        region=what.region,
        id=line.id,
        reason=line.reason,
        paths=line.paths,
        before=line.before,
        after=line.after,
    )


def _owner(part: Planned, lines: Iterable[Planned]) -> Planned | None:
    assert isinstance(part.what, Part)
    of = part.what.of
    return next((line for line in lines if (line.type, line.local) == (of, part.local)), None)


def _shown(values: Mapping[str, Any], sensitive: Any, unknown: Any = None) -> dict[str, Any]:
    """What may be shown of values: nothing sensitive, and nothing that is empty or not known yet."""
    seen = masked(dict(values), sensitive)
    if not isinstance(seen, dict):  # the whole of it is sensitive
        return {}
    known = {key: value for key, value in seen.items() if value not in (None, [], {}, "")}
    return {key: value for key, value in known.items() if not (isinstance(unknown, dict) and unknown.get(key) is True)}


def _differing(change: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    if not before or not after:
        return ()
    unknown = change.get("after_unknown") or {}
    return tuple(_paths(before, after, unknown))


def _paths(before: Mapping[str, Any], after: Mapping[str, Any], unknown: Any) -> Iterator[str]:
    for key in sorted({*before, *after}):
        is_unknown = isinstance(unknown, dict) and is_marked(unknown.get(key))
        if before.get(key) != after.get(key) and not (key not in after and not is_unknown):
            yield key
