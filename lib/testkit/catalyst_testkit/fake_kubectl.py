"""A stand-in for kubectl and the API behind it: objects in memory, and the words by which the agent asks for them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from catalyst_agent.kube import Kube, NotAnswered

Object = dict[str, Any]


class FakeKubectl(Kube):
    """A cluster in memory. What it is told to change stands in `told`, in the order of the telling."""

    def __init__(self, *objects: Object) -> None:
        super().__init__(())
        self.objects = [*objects]
        self.told: list[str] = []
        self.forbidden: set[str] = set()
        """Pods whose budget forbids an eviction at present."""
        self.lingers: set[str] = set()
        """Objects that stay, ending, when they are deleted."""
        self.answers: dict[str, str] = {}
        """What is answered under a path of the API."""

    async def _run(self, *words: str, given: str = "") -> str:
        match words:
            case ("get", "--raw", path):
                return self._raw(path)
            case ("get", kind, "-A" | "-n", *rest):
                found = [one for one in self._of(kind) if _is_chosen(one, [*words[2:]])]
                return json.dumps({"items": found}) if rest is not None else ""
            case ("get", kind, name, *rest):
                one = self._one(kind, name, _after("-n", rest))
                return json.dumps(one) if one else ""
            case ("create", "--raw", path, *_):
                self._evicted(path.split("/")[4], json.loads(given)["metadata"]["name"])
            case ("patch", kind, name, *rest):
                self.told.append(f"patch {kind} {name}")
                _merge(self._known(kind, name, _after("-n", rest)), json.loads(_after("-p", rest)))
            case ("delete", kind, name, *rest):
                self._deleted(kind, name, _after("-n", rest))
            case _:
                raise AssertionError(f"no word of this kubectl: {words}")
        return ""

    def _raw(self, path: str) -> str:
        if path not in self.answers:
            raise NotAnswered("Error from server (NotFound): the server could not find the requested resource")
        return self.answers[path]

    def _evicted(self, namespace: str, name: str) -> None:
        if name in self.forbidden:
            self.told.append(f"refuse {name}")
            raise NotAnswered("Error from server (TooManyRequests): Cannot evict pod as it would violate its budget")
        self.told.append(f"evict {name}")
        self.objects.remove(self._known("pods", name, namespace))

    def _deleted(self, kind: str, name: str, namespace: str) -> None:
        self.told.append(f"delete {kind} {name}")
        one = self._one(kind, name, namespace)
        if one and name in self.lingers:
            one["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
        elif one:
            self.objects.remove(one)

    def _of(self, kinds: str) -> Iterator[Object]:
        wanted = [_plain(kind) for kind in kinds.split(",")]
        return (one for one in self.objects if _plain(one["kind"]) in wanted)

    def _one(self, kind: str, name: str, namespace: str) -> Object | None:
        known = (one for one in self._of(kind) if one["metadata"].get("namespace", "") == namespace)
        return next((one for one in known if one["metadata"]["name"] == name), None)

    def _known(self, kind: str, name: str, namespace: str) -> Object:
        one = self._one(kind, name, namespace)
        if one is None:
            raise NotAnswered(f'Error from server (NotFound): {kind} "{name}" not found')
        return one


def _plain(kind: str) -> str:
    """`helmreleases.helm.toolkit.fluxcd.io`, `HelmRelease` and `helmreleases` are one kind."""
    word = kind.partition(".")[0].lower()
    return word if word.endswith("ss") else word.removesuffix("ies") + "y" if word.endswith("ies") else word.rstrip("s")


def _is_chosen(one: Object, words: list[str]) -> bool:
    namespace, fields, labels = _after("-n", words), _after("--field-selector", words), _after("-l", words)
    node = fields.removeprefix("spec.nodeName=")
    mine = one["metadata"].get("labels") or {}
    wanted = labels.partition("=") if "=" in labels else ("", "", "")
    return (
        (not namespace or one["metadata"].get("namespace") == namespace)
        and (not node or one["spec"].get("nodeName") == node)
        and (not wanted[0] or mine.get(wanted[0]) == wanted[2])
    )


def _after(word: str, words: list[str]) -> str:
    return words[words.index(word) + 1] if word in words else ""


def _merge(one: Object, change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, Mapping):
            _merge(one.setdefault(key, {}), value)
        elif value is None:
            one.pop(key, None)
        else:
            one[key] = value
