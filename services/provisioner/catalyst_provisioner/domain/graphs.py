"""The graphs of runs: which steps a creation and a destruction have, and what each needs. Shapes only, no functions.

What a step does stands in `steps/`, under the same names; a plan shows these shapes before anything runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

PROVISION, DESTROY = "provision", "destroy"


@dataclass(frozen=True, slots=True)
class Shape:
    """One step as a plan shows it."""

    id: str
    phase: str
    needs: tuple[str, ...] = ()
    timeout: timedelta = timedelta(minutes=15)
    retries: int = 9
    undoable: bool = False
    optional: bool = False
    skippable: bool = False
    cluster: str = ""
    component: str = ""
    action: str = ""
    """Which function does it; the id where empty."""


Scope = Mapping[str, Any]
"""Input of a run: `{"clusters": [{"name", "components": [{"name", "needs", "optional"}]}], …}`, plain JSON."""


def provision(scope: Scope) -> tuple[Shape, ...]:
    """Steps of a creation or a change."""
    return tuple(_provision(scope["clusters"]))


def destroy(scope: Scope) -> tuple[Shape, ...]:
    """Steps of a destruction."""
    return tuple(_destroy([cluster["name"] for cluster in scope["clusters"]]))


def _provision(clusters: Sequence[Mapping[str, Any]]) -> Iterator[Shape]:
    names = [cluster["name"] for cluster in clusters]
    yield Shape("validate", "prepare", timeout=timedelta(minutes=10))
    yield Shape("name.reserve", "name", ("validate",), timedelta(minutes=5), undoable=True)
    yield Shape("git.render", "git", ("name.reserve",), timedelta(minutes=5), undoable=True)
    for name in names:
        infra = Shape(f"infra.{name}", "infrastructure", ("name.reserve",), timedelta(minutes=60), undoable=True)
        yield _in(infra, name, "infra")
    yield Shape(
        "dns.commit", "dns", ("name.reserve", *(f"infra.{n}" for n in names)), timedelta(minutes=30), undoable=True
    )
    last: list[str] = ["dns.commit"]
    for cluster in clusters:
        name = cluster["name"]
        yield _in(Shape(f"enrol.{name}", "cluster", ("git.render", f"infra.{name}")), name, "enrol")
        yield _in(Shape(f"workers.{name}", "cluster", (f"enrol.{name}",), skippable=True), name, "workers")
        kit = list(_kit(name, cluster["components"]))
        yield from kit
        last += [f"workers.{name}", *(shape.id for shape in kit if not shape.optional)]
    yield Shape("probe", "acceptance", tuple(last), timedelta(minutes=10))


def _kit(cluster: str, components: Sequence[Mapping[str, Any]]) -> Iterator[Shape]:
    known = {component["name"] for component in components}
    for component in components:
        name = component["name"]
        needs = tuple(f"kit.{cluster}.{need}" for need in component["needs"] if need in known)
        yield Shape(
            f"kit.{cluster}.{name}",
            "components",
            needs or (f"enrol.{cluster}",),
            timedelta(minutes=15),
            optional=component["optional"],
            skippable=component["optional"],
            cluster=cluster,
            component=name,
            action="kit",
        )


def _destroy(clusters: Sequence[str]) -> Iterator[Shape]:
    yield Shape("quiesce", "quiesce", timeout=timedelta(minutes=5), skippable=True)
    for name in clusters:
        yield _in(Shape(f"remove.{name}", "infrastructure", ("quiesce",), timedelta(minutes=60)), name, "remove")
    yield Shape("sweep", "sweep", ("quiesce", *(f"remove.{n}" for n in clusters)), timedelta(minutes=60))
    yield Shape("verify", "sweep", ("sweep",), timedelta(minutes=60))
    yield Shape("git.remove", "git", ("verify",), timedelta(minutes=5))
    yield Shape("name.release", "name", ("git.remove",), timedelta(minutes=30))
    yield Shape("shred", "shred", ("name.release",), timedelta(minutes=5))


def _in(shape: Shape, cluster: str, action: str) -> Shape:
    return Shape(
        shape.id,
        shape.phase,
        shape.needs,
        shape.timeout,
        shape.retries,
        shape.undoable,
        shape.optional,
        shape.skippable,
        cluster,
        shape.component,
        action,
    )  # fmt: skip - in the order of the fields
