"""What an Application is in Git: the files of one branch of its repository.

Invariants
  exact     equal Applications give equal bytes, so writing again makes no commit;
  kept      overlays and what people added beside our files stay as they are;
  no secret what looks like one is refused before it gets here.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from catalyst_sdk import Code, Refused, Violation

from .applications import Application

STANDARD = ("develop", "staging", "main")
"""Branches that every Application's repository has."""
OVERLAYS = ("dev", "prod", "stg")
OWN = ("kustomization.yaml", "release.yaml", "values.yaml")
"""Files that are ours; the others are written once."""
_TELLING = re.compile(r"(password|passwd|secret|token|api_?key|private_?key|credential)s?$", re.IGNORECASE)
_REFERENCE = re.compile(r"(ref|name|path|secretref)$", re.IGNORECASE)
_DENSE = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_LEAST_ENTROPY = 4.0
"""Bits a character; words and host names have less, keys that were drawn have more."""


class SecretInConfig(Refused):
    code, reason = Code.INVALID_ARGUMENT, "SECRET_IN_CONFIG"
    message = "{fields} look like secrets, which stand in no repository: put a reference there"

    def __init__(self, paths: tuple[str, ...]) -> None:
        told = "this looks like a secret; its value is not repeated here"
        violations = tuple(Violation(f"application.config{path}", told, "secret") for path in paths)
        super().__init__(violations=violations, fields=", ".join(paths))


def demand_no_secret(config: Mapping[str, Any]) -> None:
    """Whether a configuration may stand in Git. Raises SecretInConfig with the paths alone."""
    if found := tuple(_secrets(config, "")):
        raise SecretInConfig(found)


def _secrets(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(inner, f"{path}/{number}")
    elif isinstance(value, str) and value and _is_secret(path.rpartition("/")[2], value):
        yield path


def _is_secret(key: str, value: str) -> bool:
    if _REFERENCE.search(key):
        return False
    return bool(_TELLING.search(key)) or bool(_DENSE.fullmatch(value) and _entropy(value) >= _LEAST_ENTROPY)


def _entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


_LINE = re.compile(r"""\s*(?:-\s+)?["']?([\w./-]+)["']?\s*[:=]\s*["']?([^\s"',#]+)["']?,?\s*(?:#.*)?""")
"""A key and its value on one line, as YAML, JSON and settings have them."""
_EMPTY = frozenset({"{}", "[]", "{", "[", "|", ">", "|-", ">-", "true", "false", "null", "~"})
_CONFIGURING = (".yaml", ".yml", ".json", ".env", ".toml", ".properties")


def secrets_in(files: Mapping[str, bytes], before: Mapping[str, bytes]) -> tuple[str, ...]:
    """Where in `files`, as far as they are not as `before`, something looks like a secret: `values.yaml:3`."""
    return tuple(
        f"{path}:{number}"
        for path, content in sorted(files.items())
        if path.endswith(_CONFIGURING) and before.get(path) != content
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1)
        if (found := _LINE.fullmatch(line)) and found[2] not in _EMPTY and _is_secret(found[1], found[2])
    )


def scaffold(org: str, id: str) -> Mapping[str, bytes]:
    """With which a repository begins, on every branch."""
    readme = f"# {id} of {org}\n\nA branch is an Environment: develop is dev, staging is stg, main is prod.\n"
    return {
        "README.md": readme.encode(),
        "CODEOWNERS": f"* @{org}/org-admin\n".encode(),
        "secrets/README.md": b"References to secrets only (External Secrets); a secret itself is refused.\n",
        **{f"overlays/{kind}/values.yaml": b"{}\n" for kind in OVERLAYS},
    }


def files(one: Application, present: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The tree of its branch: `present` with our files as `one` has them."""
    pin = {
        "catalyst.openova.io/blueprint": one.blueprint,
        "catalyst.openova.io/version": one.pin.release,
        "catalyst.openova.io/digest": one.pin.digest,
        **({"catalyst.openova.io/paused": "true"} if one.is_paused else {}),
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "metadata": {"name": one.id, "annotations": pin},
        "resources": ["release.yaml"],
    }
    return {
        **present,
        "kustomization.yaml": _yaml(kustomization),
        "release.yaml": one.pin.manifest.encode(),
        "values.yaml": _yaml(dict(one.pin.config)),
    }


def merged(theirs: Mapping[str, bytes], ours: Mapping[str, bytes], kind: str) -> Mapping[str, bytes]:
    """The tree of a branch into which another one is merged: theirs, but for the overlay of this type of Environment."""
    own = f"overlays/{kind}/"
    return {path: content for path, content in theirs.items() if not path.startswith(own)} | {
        path: content for path, content in ours.items() if path.startswith(own)
    }


def without(present: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """A branch on which nothing is installed any more."""
    return {path: content for path, content in present.items() if path not in OWN}


def pin_of(present: Mapping[str, bytes]) -> tuple[str, str, str] | None:
    """Blueprint, version and digest that a branch holds; None: nothing is installed on it, or it cannot be read."""
    try:
        told = json.loads(present["kustomization.yaml"])["metadata"]["annotations"]
        return (
            str(told["catalyst.openova.io/blueprint"]),
            str(told["catalyst.openova.io/version"]),
            str(told["catalyst.openova.io/digest"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _yaml(document: Mapping[str, Any]) -> bytes:
    """JSON is YAML (YAML 1.2, section 1.3), and has one way to write a value."""
    return f"{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)}\n".encode()
