"""What the read model keeps of each thing: the newest word about it.

Invariants
  newest wins   of two facts about a thing the one of higher rank is kept, whatever comes first, however often;
  replay        so any order and any repetition of the same facts ends in the same state;
  tombstones    what was deleted stands for a day as a word without a body, so that a late word does not bring it back;
  own kind      a thing of a daemon is told by events of its own kind alone. What events of another kind say about it is a
                thing of its own beside it, `sovereigns/acme#provisioner.access`, so that neither hides the other and each
                is read by its own readers. What stands beside a thing ends with it, unless it was told later.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from catalyst_mesh.readers import READERS, UNKNOWN, organization_of, whose

SCHEMA = 2
"""Number of the way in which facts become things. Whoever changes it adds one: the model is then built anew beside the old."""
GONE = frozenset({"deleted", "destroyed", "freed", "removed"})
"""Last words of subjects after which a thing is no more."""
MOST_BODY = 64 * 1024
"""Bytes of an object that are kept whole; of a larger one its names, labels and status are."""
BESIDE = "#"
"""Stands in the key of what is beside a thing, after the thing's name; no resource name has it."""
_RUNTIME = "ws/"
_CAPITAL = re.compile(r"(?=[A-Z])")
_ENVIRONMENT = re.compile(r"environments/([a-z0-9-]+)")
_HIDDEN = frozenset({"secret", "secrets"})
"""Kinds of objects that never reach the model, whatever a source sends."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One word about one thing.

    rank   what orders the words about a thing: its number in the outbox of its daemon and its version; of an object in a
           cluster its generation and resourceVersion
    """

    key: str
    kind: str
    name: str
    environment: str
    organization: str
    subject: str
    rank: tuple[int, int]
    version: int
    time: datetime
    body: Mapping[str, Any]
    is_gone: bool = False

    @property
    def aggregate(self) -> str:
        """Name of what a daemon's event is about; empty for an object of an Environment."""
        return "" if self.key.startswith(_RUNTIME) else aggregate_of(self.key)

    @property
    def is_beside(self) -> bool:
        """Whether events of another kind than the thing's own say it."""
        return bool(self.aggregate) and self.key != self.aggregate


def newer(kept: Fact | None, fact: Fact) -> Fact:
    """What is kept once `fact` was told."""
    return fact if kept is None or fact.rank > kept.rank else kept


def of_event(subject: str, aggregate: str, body: Mapping[str, Any], *, rank: tuple[int, int], time: datetime) -> Fact:
    """What an event of a daemon says about its aggregate."""
    words = subject.split(".")
    kind, environment = ".".join(words[2:4]), _environment(aggregate, body)
    return Fact(
        key=aggregate if own_kind(words[2], aggregate) in ("", kind) else beside(aggregate, kind),
        kind=kind,
        name=aggregate.rpartition("/")[2],
        environment=environment,
        organization=whose(subject, aggregate, body),
        subject=subject,
        rank=rank,
        version=rank[1],
        time=time,
        body=body,
        is_gone=words[-1] in GONE,
    )


def beside(aggregate: str, kind: str) -> str:
    """Key of what events of another kind say about a thing."""
    return f"{aggregate}{BESIDE}{kind}"


def all_beside(aggregate: str) -> list[str]:
    """Every key that may stand beside a thing."""
    return [beside(aggregate, kind) for kind in sorted(READERS)]


def aggregate_of(key: str) -> str:
    """Name of the thing that a key is of, or stands beside of."""
    return key.partition(BESIDE)[0]


def own_kind(daemon: str, aggregate: str) -> str:
    """`provisioner.sovereign` of `sovereigns/acme`: the daemon and the singular of the last collection, or of what there is
    one of. Empty where nobody's rights are known for that kind: such a thing stays whole, whatever kinds tell of it."""
    parts = aggregate.split("/")
    noun = parts[-1] if len(parts) % 2 else _singular(parts[-2])
    kind = f"{daemon}.{_CAPITAL.sub('_', noun).lower()}"
    return kind if kind in READERS else ""


def _singular(collection: str) -> str:
    return f"{collection[:-3]}y" if collection.endswith("ies") else collection.removesuffix("s")


def retold(kept: Fact) -> list[Fact]:
    """What a model says of a thing, by the rules of today.

    The first rules had one row for a thing, under the kind of its last word. Where that is not its own, nothing is known of
    the thing but that it is there.
    """
    if not kept.aggregate:
        return [kept]  # of an object nothing is kept but what stands here
    told = of_event(kept.subject, kept.aggregate, kept.body, rank=kept.rank, time=kept.time)
    if kept.is_gone and told.is_beside:
        return [replace(told, is_gone=True)]  # it ended with the thing
    if kept.is_beside or not told.is_beside:
        return [told]
    own = own_kind(kept.subject.split(".")[2], kept.aggregate)
    there = replace(told, key=kept.aggregate, kind=own, subject=f"catalyst.v1.{own}.", rank=(0, 0), version=0, body={})
    return [told, there]


def _environment(aggregate: str, body: Mapping[str, Any]) -> str:
    for text in (aggregate, body.get("environment")):
        if isinstance(text, str) and (found := _ENVIRONMENT.search(text)):
            return found[1]
    return ""


class FactUnreadable(ValueError):
    """What a source sent is no fact about an object."""


def of_runtime(subject: str, data: bytes, *, time: datetime, is_gone: bool, sequence: int) -> Fact | None:
    """What a message under `ws.<env>.…` says; None for what never reaches the model. Raises FactUnreadable.

    sequence   of the message in its stream: what orders the words about what has no generation
    """
    words = subject.split(".")
    if len(words) < 4 or not all(words):
        raise FactUnreadable(f"{subject} names no thing")
    environment, source, rest = words[1], words[2], words[3:]
    if source == "k8s" and rest[0].lower() in _HIDDEN:
        return None
    body = _object(data)
    meta = body.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    uid = str(meta.get("uid") or ".".join(words[2:]))
    has_rank = "generation" in meta or "resourceVersion" in meta
    rank = (_whole(meta.get("generation")), _whole(meta.get("resourceVersion"))) if has_rank else (0, sequence)
    return Fact(
        key=f"{_RUNTIME}{environment}/{uid}",
        kind=_kind(source, rest, body),
        name=".".join(str(part) for part in (meta.get("namespace"), meta.get("name")) if part) or ".".join(rest),
        environment=environment,
        organization=organization_of(environment) if environment != UNKNOWN else UNKNOWN,
        subject=subject,
        rank=rank,
        version=rank[0],
        time=time,
        body={} if is_gone else _trimmed(body, len(data)),
        is_gone=is_gone,
    )


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FactUnreadable(f"it is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise FactUnreadable("it is no object")
    return body


def _kind(source: str, rest: list[str], body: Mapping[str, Any]) -> str:
    """`k8s.deployment`, `flux.kustomization`, `git.commit`, `crossplane.bucket`."""
    if source == "k8s":
        return f"k8s.{rest[0].lower()}"
    known = {"flux": "kustomization", "git": "commit"}.get(source, "resource")
    return f"{source}.{str(body.get('kind') or known).lower()}"


def _whole(value: object) -> int:
    """A number as Kubernetes writes it; 0 for what is none, or would not fit."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _trimmed(body: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Without what only servers need, or what may hold a copy of the object as somebody applied it."""
    kept = dict(body)
    meta = body.get("metadata")
    if isinstance(meta, dict):
        kept["metadata"] = {name: value for name, value in meta.items() if name not in ("managedFields", "annotations")}
    if size > MOST_BODY:
        kept = {name: kept[name] for name in ("apiVersion", "kind", "metadata", "status") if name in kept}
        if len(json.dumps(kept)) > MOST_BODY:
            kept.pop("status", None)
    return kept


def token(text: str) -> str:
    """A word of a subject (conventions, section 7)."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text) or "_"
