"""Credentials of several fields: how a schema judges them, how they are kept, and how text is cleaned of them.

A manifest describes them in its table `credential`, a JSON Schema whose secret fields carry `x-secret`. Behind the
SecretRef of a credential lies `packed(fields)`. What is wrong with a field is told by name and rule, never by value.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import jsonschema

from .context import Secrets
from .failures import Permanent
from .secrets import SecretRef

VEIL = "[redacted]"


@dataclass(frozen=True, slots=True)
class CredentialFault:
    """A field that breaks a rule of the schema."""

    field: str
    rule: str
    text: str


class NoSuchForm(ValueError):
    """A credential in one line that has another number of parts than the registrar's form."""


class Credential:
    """The fields of one opened credential. It shows none of them."""

    def __init__(self, fields: Mapping[str, str], schema: Mapping[str, Any]) -> None:
        self._fields = dict(fields)
        known = schema.get("properties", {})
        hidden = {value for name, value in fields.items() if value and known.get(name, {}).get("x-secret")}
        # The longest first: one secret may be a part of another.
        self._hidden = sorted({form for value in hidden for form in _forms(value)}, key=len, reverse=True)

    def __getitem__(self, field: str) -> str:
        return self._fields[field]

    def get(self, field: str, default: str = "") -> str:
        """The field, or `default` where it was not given."""
        return self._fields.get(field) or default

    def veil(self, text: str) -> str:
        """`text` with every secret field cut out, also where it stands encoded as in a URL, in JSON or in base64."""
        for form in self._hidden:
            text = text.replace(form, VEIL)
        return text

    def __repr__(self) -> str:
        return f"Credential({', '.join(sorted(self._fields))})"


def packed(fields: Mapping[str, str]) -> bytes:
    """What is kept behind a SecretRef."""
    return json.dumps(dict(fields), sort_keys=True).encode()


def credential_faults(schema: Mapping[str, Any], fields: Mapping[str, str]) -> tuple[CredentialFault, ...]:
    """All that the schema has against `fields`, by field."""
    whole = {"type": "object", "additionalProperties": False, **schema}
    return tuple(sorted(_faults(whole, fields), key=lambda fault: fault.field))


def from_line(schema: Mapping[str, Any], line: str) -> dict[str, str]:
    """The fields of a credential in the colon form of the earlier system, which the schema states as `x-line`.

    `x-line` is a list of forms, each a list of fields; the number of parts decides. Raises NoSuchForm.
    """
    forms: Sequence[Sequence[str]] = schema.get("x-line", ())
    parts = [part.strip() for part in line.strip().split(":")]
    for form in forms:
        if len(form) == len(parts):
            return dict(zip(form, parts, strict=True))
    known = " or ".join(":".join(form) for form in forms) or "none"
    raise NoSuchForm(f"{len(parts)} part(s) are given; the form is {known}")


async def opened(secrets: Secrets, ref: SecretRef | None, schema: Mapping[str, Any], *, provider: str) -> Credential:
    """The credential behind `ref`. Raises Permanent("CREDENTIALS_REJECTED") for one that the schema does not take."""
    fields = _unpacked((await secrets.resolve(ref)).reveal()) if ref else {}
    faults = credential_faults(schema, fields)
    if faults:
        names = ", ".join(dict.fromkeys(fault.field for fault in faults))
        text = f"the credential cannot be used: {'; '.join(f'{fault.field}: {fault.text}' for fault in faults)}"
        action = f"enter the credential anew: {names}"
        raise Permanent("CREDENTIALS_REJECTED", text, provider=provider, user_action=action, fields=names)
    return Credential(fields, schema)


def _unpacked(text: str) -> dict[str, str]:
    try:
        raw = json.loads(text)
    except ValueError:
        raw = None  # not chained: the text is the secret
    return {str(name): str(value) for name, value in raw.items()} if isinstance(raw, dict) else {}


def _faults(schema: Mapping[str, Any], fields: Mapping[str, str]) -> list[CredentialFault]:
    found = []
    for error in jsonschema.Draft202012Validator(schema).iter_errors(dict(fields)):
        # The validator's own sentence quotes the value.
        if error.validator == "required":
            found += [CredentialFault(name, "required", "it is missing") for name in _missing(error, fields)]
        elif error.validator == "additionalProperties":
            strange = sorted(set(fields) - set(schema.get("properties", {})))
            found += [CredentialFault(name, "unknown", "there is no such field") for name in strange]
        else:
            name = str(error.absolute_path[0]) if error.absolute_path else "(credential)"
            found.append(CredentialFault(name, str(error.validator), _expected(error)))
    return list(dict.fromkeys(found))


def _missing(error: jsonschema.ValidationError, fields: Mapping[str, str]) -> list[str]:
    wanted: Any = error.validator_value
    return [name for name in wanted if name not in fields]


def _expected(error: jsonschema.ValidationError) -> str:
    wanted = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    rule: Any = error.validator_value
    text = f"one of {', '.join(rule)}" if error.validator == "enum" else f"{error.validator} {rule}"
    return f"it breaks the rule {text}" + (f" ({wanted})" if wanted else "")


def _forms(value: str) -> set[str]:
    """How a value may stand in a URL, a body or a header."""
    plain = base64.b64encode(value.encode()).decode()
    return {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], plain, plain.rstrip("=")}
