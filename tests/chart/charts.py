"""The chart as Helm renders it."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from catalyst_testkit.servers import need

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "catalyst"
EXAMPLES = sorted((ROOT / "deploy" / "helm" / "examples").glob("*.yaml"))
LATEST = "1.37.0"
OLDEST = "1.20.0"
RUNNING = ("Deployment", "StatefulSet", "Job")


def helm(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """One command of Helm, with nothing of this machine's configuration."""
    places = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return subprocess.run(
        [need("helm", package="script/helm"), *words],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Rendered:
    """What came of one rendering."""

    text: str

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [one for one in yaml.load_all(self.text, loader) if one]

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [one for one in self.objects if one["kind"] in kinds]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        return found

    def pods(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each pod that may come to be, with the name of what makes it."""
        for one in self.of(*RUNNING):
            yield f"{one['kind']}/{one['metadata']['name']}", one["spec"]["template"]


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All of them, those that come first too."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container["env"]}


def render(
    *files: Path,
    home: Path,
    values: Mapping[str, Any] | None = None,
    version: str = LATEST,
    apis: Iterable[str] = (),
    chart: Path = CHART,
    release: str = "catalyst",
) -> Rendered:
    """The chart with these files and values. Raises AssertionError with what Helm says where it refuses."""
    done = template(*files, home=home, values=values, version=version, apis=apis, chart=chart, release=release)
    assert done.returncode == 0, done.stderr
    return Rendered(done.stdout)


def template(
    *files: Path,
    home: Path,
    values: Mapping[str, Any] | None = None,
    version: str = LATEST,
    apis: Iterable[str] = (),
    chart: Path = CHART,
    release: str = "catalyst",
) -> subprocess.CompletedProcess[str]:
    """`helm template`."""
    given = list(files)
    if values is not None:
        given.append(home / "values.yaml")
        given[-1].write_text(json.dumps(values))  # which YAML is, too, whoever reads it
    words = [word for path in given for word in ("--values", str(path))]
    words += [word for api in apis for word in ("--api-versions", api)]
    return helm(
        "template",
        release,
        str(chart),
        "--namespace",
        "catalyst-system",
        "--kube-version",
        version,
        *words,
        home=home,
    )  # fmt: skip - one command
