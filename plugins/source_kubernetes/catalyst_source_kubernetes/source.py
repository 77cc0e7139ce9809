"""Objects of kind Blueprint, each as the folder that would hold it."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.source import Artifact, Location, Ref, RefPage, folder_digest

MEDIA_TYPE = "application/vnd.catalyst.blueprint.folder.v1"
PLACE = "/apis/catalyst.openova.io/v1/blueprints"
PAGE = 500
OURS = "catalyst.openova.io/"
"""Annotations that belong to the Blueprint; others are of whoever keeps the object."""
LARGEST = 1536 * 1024
"""Bytes of one object: more than etcd keeps."""
PROVIDER = "kubernetes"
FILE = "blueprint.yaml"
ONLY_THERE = ("consoleUI", "hasUserUIEndpoint", "producesInstances", "allowedPlacements", "topology")
"""Fields that an import takes along for a console, and that no Blueprint of the catalogue has."""


class KubernetesSource:
    """`blueprint_source` over an API server."""

    def __init__(self, config: Mapping[str, Any], transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Take what the host was told.

        config     `url` of the API server, `ca_file` with its certificates, `token_file` with the account's token
        transport  for tests
        """
        self._config = config
        self._transport = transport

    async def list(self, *, at: Location, cursor: str = "") -> RefPage:
        """The objects after `cursor`, by name."""
        query = {"limit": str(PAGE), **({"continue": cursor} if cursor else {})}
        if selector := at.config.get("selector"):
            query["labelSelector"] = str(selector)
        async with self._server() as server:
            answer = await _asked(server, PLACE, query)
        refs = tuple(Ref(one["metadata"]["name"], _digest(one), name=_folder(one)) for one in answer["items"])
        return RefPage(refs, answer["metadata"].get("continue") or "")

    async def fetch(self, *, at: Location, ref: Ref) -> Artifact:
        """One object as it is now."""
        async with self._server() as server:
            one = await _asked(server, f"{PLACE}/{ref.path}")
        return Artifact({FILE: _text(one)}, _digest(one), MEDIA_TYPE)

    async def probe(self, *, at: Location) -> None:
        """Whether objects of this kind can be listed."""
        async with self._server() as server:
            await _asked(server, PLACE, {"limit": "1"})

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[httpx.AsyncClient]:
        url = self._config.get("url")
        if not url:
            raise Permanent("CONFIG", "the plugin is told no `url` of an API server", provider=PROVIDER)
        secure, token = _shown(self._config)
        async with httpx.AsyncClient(
            base_url=str(url),
            verify=secure,
            timeout=20,
            trust_env=False,
            transport=self._transport,
            headers={"authorization": f"Bearer {token}"} if token else {},
        ) as client:
            yield client


def _shown(config: Mapping[str, Any]) -> tuple[ssl.SSLContext, str]:
    """By what the server is known, and the token that is shown to it; read anew each time, because others renew them."""
    try:
        secure = ssl.create_default_context(cafile=config.get("ca_file"))
        return secure, Path(config["token_file"]).read_text().strip() if "token_file" in config else ""
    except OSError as error:
        raise Temporary(f"{error.filename}: {error.strerror}", provider=PROVIDER) from error


async def _asked(server: httpx.AsyncClient, path: str, query: Mapping[str, str] | None = None) -> Any:
    try:
        answer = await server.get(path, params=query)
    except httpx.HTTPError as error:
        raise Temporary(f"the API server does not answer: {type(error).__name__}", provider=PROVIDER) from error
    if answer.status_code in (401, 403):
        raise Permanent(
            "AUTH", f"{path}: {answer.status_code}", provider=PROVIDER, user_action="let the account read Blueprints"
        )
    if answer.status_code == 404:
        raise Permanent("NOT_FOUND", f"{path} is not there", provider=PROVIDER)
    if answer.status_code >= 400:  # a list whose point is forgotten (410) begins anew with the next sync
        raise Temporary(f"{path}: {answer.status_code}", provider=PROVIDER)
    if len(answer.content) > LARGEST * (PAGE if query else 1):
        raise Permanent("TOO_LARGE", f"{path} is larger than an object can be", provider=PROVIDER)
    return answer.json()


def _text(one: Mapping[str, Any]) -> bytes:
    """Its file: what somebody wishes, without what the cluster keeps beside it. JSON is YAML."""
    spec = {key: value for key, value in one["spec"].items() if key not in ONLY_THERE}
    marks = {k: v for k, v in one["metadata"].get("annotations", {}).items() if k.startswith(OURS)}
    document = {
        "apiVersion": "catalyst.openova.io/v1",
        "kind": "Blueprint",
        "metadata": {"name": one["metadata"]["name"], **({"annotations": marks} if marks else {})},
        "spec": spec,
    }  # fmt: skip - a document
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False).encode()


def _digest(one: Mapping[str, Any]) -> str:
    return folder_digest({FILE: (_text(one), False)})


def _folder(one: Mapping[str, Any]) -> str:
    return str(one["metadata"]["name"]).removeprefix("bp-")
