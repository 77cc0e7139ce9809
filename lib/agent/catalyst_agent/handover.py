"""What the first boot takes over from enrolment: environment, tokens and manifests, as files. Pure.

Manifests are JSON, which is YAML too.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from catalyst.provisioner.v1 import service_pb2

ENVIRONMENT = "enrolled.env"
NAMESPACE = "flux-system"
REGISTRIES = "registries.yaml"
LOGIN, PULL, PULL_CA = "catalyst-tree", "registry", "registry-ca"
"""Names of secrets; by the second one the tree's sources log in, so it has to be there before them."""
SOURCE_INTERVAL, APPLY_INTERVAL, APPLY_TIMEOUT = "1m", "5m", "30m"
ROLES = {
    service_pb2.EnrollResponse.ROLE_INIT: "init",
    service_pb2.EnrollResponse.ROLE_JOIN: "join",
    service_pb2.EnrollResponse.ROLE_WORKER: "worker",
}


def written(answer: service_pb2.EnrollResponse, home: str = "/etc/catalyst") -> dict[str, str]:
    """Text of each file, by its name below the agent's folder, `home`."""
    role = ROLES[answer.role]
    workers = answer.join_token if role == "worker" else answer.worker_token
    found = {
        ENVIRONMENT: f"ROLE={shlex.quote(role)}\nJOIN_AT={shlex.quote(answer.join_endpoint)}\n",
        "agent-token": workers,
        "manifests/pull-secret.yaml": _listed(
            pull_secret(answer.registry, answer.mirrors), *authorities(answer.mirrors)
        ),
        "manifests/tree.yaml": _listed(*tree(answer.tree)),
    }
    if answer.registries:
        found |= registries(answer, home)
    return found if role == "worker" else found | {"server-token": answer.join_token}


def tree(given: service_pb2.TreeAccess) -> list[dict[str, Any]]:
    """Source and root of what Flux pulls, and the login for it."""
    data = {"username": given.username, "password": given.password}
    if given.ca_bundle_pem:
        data["ca.crt"] = given.ca_bundle_pem
    ref = {"commit": given.commit} if given.commit else {"branch": given.branch or "main"}
    source = {"interval": SOURCE_INTERVAL, "url": given.url, "ref": ref, "secretRef": {"name": LOGIN}}
    root = {
        "interval": APPLY_INTERVAL, "timeout": APPLY_TIMEOUT, "prune": True, "wait": False, "path": f"./{given.path}",
        "sourceRef": {"kind": "GitRepository", "name": LOGIN},
    }  # fmt: skip
    return [
        _object("v1", "Secret", LOGIN, type="Opaque", stringData=data),
        _object("source.toolkit.fluxcd.io/v1", "GitRepository", LOGIN, spec=source),
        _object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", LOGIN, spec=root),
    ]


def registries(answer: service_pb2.EnrollResponse, home: str) -> dict[str, str]:
    """What k3s reads of mirrors, with logins and authorities (docs.k3s.io, "Private Registry Configuration")."""
    found, configs = {}, {}
    for number, mirror in enumerate(answer.mirrors):
        config: dict[str, Any] = {}
        if mirror.username:
            config["auth"] = {"username": mirror.username, "password": mirror.password}
        if mirror.ca_bundle_pem:
            found[f"mirrors/{number}.pem"] = mirror.ca_bundle_pem
            config["tls"] = {"ca_file": f"{home}/mirrors/{number}.pem"}
        configs[mirror.server] = config
    whole = json.loads(answer.registries) | ({"configs": configs} if configs else {})
    return {REGISTRIES: json.dumps(whole, indent=2, sort_keys=True), **found}


def pull_secret(given: service_pb2.RegistryCredential, more: Iterable[service_pb2.MirrorAccess] = ()) -> dict[str, Any]:
    """Logins to the registry and its mirrors; an empty one where none is needed, so that what names it finds it."""
    known = {given.server: {"username": given.username, "password": given.password}} if given.server else {}
    known |= {one.server: {"username": one.username, "password": one.password} for one in more if one.username}
    text = json.dumps({"auths": known})
    kind = "kubernetes.io/dockerconfigjson"
    return _object("v1", "Secret", PULL, type=kind, stringData={".dockerconfigjson": text})


def authorities(mirrors: Iterable[service_pb2.MirrorAccess]) -> list[dict[str, Any]]:
    """What sources on mirrors check these by, where they have authorities of their own."""
    told = "\n".join(mirror.ca_bundle_pem.strip() for mirror in mirrors if mirror.ca_bundle_pem)
    return [_object("v1", "Secret", PULL_CA, type="Opaque", stringData={"ca.crt": f"{told}\n"})] if told else []


def _object(version: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **more}


def _listed(*objects: Mapping[str, Any]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}, indent=2, sort_keys=True)
