"""Manifests of kind Continuum: read, checked field by field before anything is sent, and written as the API has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalyst_sdk import Violation, forms
from catalyst_sdk.continuum_form import SPEC

from catalyst_cli.api import Refused
from catalyst_cli.commands.continuum.names import path_of
from catalyst_cli.failures import Failure
from catalyst_cli.reading import documents_of

API_VERSION, KIND = "dr.openova.io/v1", "Continuum"
_TOP = ("apiVersion", "kind", "metadata", "spec")
_WHERE = "continuum.spec."


@dataclass(frozen=True, slots=True)
class Manifest:
    """One slot as a file wishes it.

    spec       as the API has it
    mask       fields that the file speaks of: all, but suspension where it says nothing of it
    warnings   what is understood otherwise than it is written
    """

    name: str
    spec: Mapping[str, Any]
    mask: str
    warnings: tuple[str, ...]


def read(path: Path) -> list[Manifest]:
    """The manifests of a file. Raises Failure with everything that is wrong in it."""
    found, wrong = [], list[str]()
    for i, document in enumerate(documents_of(path)):
        place = f"document {i + 1}: "
        try:
            found.append(_manifest(document))
        except _Wrong as error:
            wrong += [f"{place}{line}" for line in error.lines]
    if any("observedGeneration" in line for line in wrong):
        how = "catalyst continuum get SLOT --manifest"
        raise Failure(f"{path} is a slot as `get` shows it, and no manifest", next_step=how, exit_code=2)
    if wrong:
        raise Failure(f"{path} is not as it should be", details=tuple(wrong), exit_code=2)
    if not found:
        raise Failure(f"{path} has no {KIND}", next_step=f"begin with `apiVersion: {API_VERSION}`", exit_code=2)
    return found


def written(slot: Mapping[str, Any]) -> dict[str, Any]:
    """A slot of the API as the manifest that wishes it: what `read` takes."""
    # Only this command needs them, and every other one would wait for them.
    from catalyst.continuum.v1 import resources_pb2
    from google.protobuf import json_format

    message = json_format.ParseDict(slot["spec"], resources_pb2.ContinuumSpec(), ignore_unknown_fields=True)
    namespace, _, name = str(slot["name"]).removeprefix("namespaces/").partition("/continuums/")
    spec = SPEC.from_api(json_format.MessageToDict(message, preserving_proto_field_name=True))
    return {
        "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    }  # fmt: skip


def explained(refused: Refused) -> Refused:
    """A refusal with the paths of the manifest in the place of the API's."""
    refused.details = tuple(_translated(detail) for detail in refused.details)
    return refused


class _Wrong(Exception):
    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def _manifest(document: Any) -> Manifest:
    if not isinstance(document, dict):
        raise _Wrong("an object is expected")
    wrong = list(_outside(document))
    spec = document.get("spec", {})
    values, faults = forms.read(SPEC, spec, "spec")
    wrong += [_line(fault) for fault in faults]
    if wrong:
        raise _Wrong(*wrong)
    metadata = document["metadata"]
    names = [known.api for name, known in SPEC.fields.items() if name != "suspend" or name in values]
    warnings: tuple[str, ...] = ()
    if (spec.get("luaRecord") or {}).get("selector") == "pickfirst":
        warnings = ("spec.luaRecord.selector: PowerDNS knows no pickfirst; it is taken as static",)
    name = path_of(f"{metadata.get('namespace', 'default')}/{metadata['name']}")
    return Manifest(name, SPEC.to_api(values), ",".join(f"spec.{_camel(name)}" for name in names), warnings)


def _outside(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key}: there is no such field" for key in document if key not in (*_TOP, "status"))
    if document.get("apiVersion") != API_VERSION:
        yield f"apiVersion: {API_VERSION} is expected"
    if document.get("kind") != KIND:
        yield f"kind: {KIND} is expected"
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        yield "metadata.name: is required"


def _camel(name: str) -> str:
    """A field as masks over HTTP have it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _translated(detail: str) -> str:
    field, sign, text = detail.partition(": ")
    if not field.startswith(_WHERE):
        return detail
    return f"spec.{forms.manifest_path(SPEC, field.removeprefix(_WHERE))}{sign}{text}"


def _line(fault: Violation) -> str:
    return f"{fault.field}: {fault.description}"
