"""The schema of the values: the chart's own by hand, `settings` of each daemon from its class."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from catalyst_mesh import DaemonSettings
from pydantic import SecretStr

from .daemons import LISTENERS, Found, camel

CHARTS = Path(__file__).parents[1] / "helm" / "catalyst" / "charts"
BUNDLED = ("nats", "postgresql", "powerdns")
"""Charts inside of ours, by the values that reach them."""
HAND = Path(__file__).with_name("values.schema.json")
"""What is written by hand; `$defs.daemon` is what each daemon has."""
GIVEN = frozenset(
    {
        "listen",
        "side_listen",
        "database_url",
        "database_password_file",
        "nats_url",
        "nats_monitor_url",
        "jwks_file",
        "kubernetes_url",
        "kubernetes_issuer",
        "kubernetes_ca_file",
        "kubernetes_token_file",
        "workload_audience",
        "workloads",
        "token_file",
        "token_folder",
        "data_folder",
        "keyring_file",
        "sovereign",
        "tls_certificate_file",
        "tls_key_file",
        "tls_authorities_file",
        "tls_require_client",
        "secrets_folder",
        "drain_seconds",
        "controllers",
        "states_namespace",
        "requesters",
        "requester_prefix",
        "replicas",
        *LISTENERS,
    }
)  # fmt: skip - a list
"""Settings that the chart knows itself."""
DEVELOPMENT = frozenset(
    {
        "shared_ports",
        "development",
        "login_code_file",
        "operator_token_file",
        "sandbox_dir",
        "time_scale",
        "allow_in_memory",
        "allow_private_webhooks",
    }
)
"""Settings that only `catalyst dev` gives."""


def schema(daemons: Sequence[Found]) -> str:
    """JSON Schema 2020-12 of all values."""
    whole = json.loads(HAND.read_text())
    definitions = whole["$defs"]
    house = _free(DaemonSettings)
    definitions["settings"] = {"properties": _settings(DaemonSettings, house, definitions)}
    shared = {camel(name): {"$ref": f"#/$defs/settings/properties/{camel(name)}"} for name in house}
    whole["properties"]["settings"] = _strict("Settings of every daemon", shared)
    digests = whole["properties"]["image"]["properties"]["digests"]
    digests["propertyNames"] = {"enum": [daemon.name for daemon in daemons]}
    whole["properties"]["workloads"]["additionalProperties"] = {"enum": [daemon.contract for daemon in daemons]}
    each = {name: {"$ref": f"#/$defs/daemon/properties/{name}"} for name in definitions["daemon"]["properties"]}
    for name in BUNDLED:
        _close(whole["properties"][name], yaml.safe_load((CHARTS / name / "values.yaml").read_text()))
    for daemon in daemons:
        own = [name for name in _free(daemon.settings) if name not in DaemonSettings.model_fields]
        settings = {**shared, **_settings(daemon.settings, own, definitions)}
        whole["properties"][daemon.key] = _strict(
            f"The daemon {daemon.name}", {**each, "settings": _strict(f"Settings of {daemon.name} alone", settings)}
        )
    _demand(whole, yaml.safe_load((CHARTS.parent / "values.yaml").read_text()))
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _demand(told: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Demand what has a default: it is there unless somebody takes it away by null, which templates cannot stand.

    What is Kubernetes' own (`resources`) may be taken away.
    """
    known = told["properties"]
    told["required"] = sorted(known.keys() & values.keys())
    for name in told["required"]:
        is_ours = isinstance(values[name], Mapping) and "properties" in known[name] and name != "resources"
        if is_ours and values[name]:
            _demand(known[name], values[name])


def _close(told: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Let the values of a bundled chart through, which its file names, and none besides."""
    told["additionalProperties"] = False
    known = told["properties"]
    known |= {name: _of(value) for name, value in values.items() if name not in known}
    known["global"] = {"type": "object"}  # Helm hands it to every subchart


def _of(value: Any) -> Mapping[str, Any]:
    """What a value may be, told by the one that it is by default; `resources` are Kubernetes' own."""
    if isinstance(value, Mapping):
        known = {name: _of(each) for name, each in value.items() if not isinstance(each, Mapping)}
        is_closed = known and len(known) == len(value)
        return {"type": "object", **({"additionalProperties": False, "properties": known} if is_closed else {})}
    kinds = {bool: "boolean", int: "integer", str: "string", list: "array"}
    return {"type": kinds[type(value)]}


def _strict(title: str, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object with these properties and no others; spelled out, because only then does Helm name a wrong one."""
    return {"description": title, "type": "object", "additionalProperties": False, "properties": properties}


def _settings(kind: type[DaemonSettings], names: Sequence[str], definitions: dict[str, Any]) -> Mapping[str, Any]:
    told = kind.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(_plain(told.get("$defs", {})))
    return {camel(name): _plain(told["properties"][name]) for name in names}


def _free(kind: type[DaemonSettings]) -> Sequence[str]:
    """Settings that values may give: no secret, nothing that the chart or development gives."""
    return [
        name
        for name, field in kind.model_fields.items()
        if name not in GIVEN | DEVELOPMENT and not name.endswith("_target") and field.annotation is not SecretStr
    ]


def _plain(told: Any) -> Any:
    """Without what says nothing: titles made of names, and formats that only Python knows."""
    if isinstance(told, dict):
        return {
            key: _plain(value) for key, value in told.items() if key != "title" and (key, value) != ("format", "path")
        }
    return [_plain(value) for value in told] if isinstance(told, list) else told
