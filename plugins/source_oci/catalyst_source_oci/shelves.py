"""Where content lies by its digest: a registry (OCI distribution specification, version 1.1), or a layout in a folder.

What comes from either is content only if its bytes have the digest by which they were asked for.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
from catalyst_sdk import Permanent, RateLimited, Secret, Temporary

PROVIDER = "oci_index"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
LARGEST_MANIFEST, LARGEST_BLOB = 4 * 1024 * 1024, 20 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PAIR = re.compile(r'(\w+)="([^"]*)"')


class Shelf(Protocol):
    """Manifests and blobs of repositories."""

    async def manifest(self, repository: str, reference: str) -> tuple[bytes, str] | None:
        """The manifest that a tag or digest names, with its digest; None where there is none. Raises PluginFailure."""
        ...

    async def blob(self, repository: str, digest: str) -> bytes:
        """The content of that digest. Raises PluginFailure."""
        ...

    async def referrers(self, repository: str, digest: str) -> bytes | None:
        """The index of manifests whose subject is that one; None where nobody keeps it. Raises PluginFailure."""
        ...


def checked(content: bytes, digest: str) -> bytes:
    """`content`, if it has this digest. Raises Permanent(UNREADABLE)."""
    if not _DIGEST.fullmatch(digest) or digest_of(content) != digest:
        raise Permanent("UNREADABLE", f"what is kept as {digest[:80]} has other bytes", provider=PROVIDER)
    return content


def referrers_tag(digest: str) -> str:
    """Where the index of referrers lies in a registry that does not keep it by itself (distribution 1.1)."""
    return digest.replace(":", "-")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Layout:
    """An OCI image layout, as it is carried to a site without a network: `index.json` names manifests, by repository and tag."""

    root: Path

    async def manifest(self, repository: str, reference: str) -> tuple[bytes, str] | None:
        return await asyncio.to_thread(self._manifest, repository, reference)

    async def blob(self, repository: str, digest: str) -> bytes:
        return checked(await asyncio.to_thread(self._read, self._path(digest), LARGEST_BLOB), digest)

    async def referrers(self, repository: str, digest: str) -> bytes | None:
        found = await self.manifest(repository, referrers_tag(digest))
        return found[0] if found else None

    def _manifest(self, repository: str, reference: str) -> tuple[bytes, str] | None:
        digest = reference if _DIGEST.fullmatch(reference) else self._named(f"{repository}:{reference}")
        if digest is None or not self._path(digest).is_file():
            return None
        return checked(self._read(self._path(digest), LARGEST_MANIFEST), digest), digest

    def _named(self, name: str) -> str | None:
        index = json.loads(self._read(self.root / "index.json", LARGEST_MANIFEST))
        for one in index.get("manifests", ()):
            if one.get("annotations", {}).get("org.opencontainers.image.ref.name") == name:
                return str(one["digest"])
        return None

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise Permanent("UNREADABLE", f"{digest[:80]} is no digest", provider=PROVIDER)
        return self.root / "blobs" / "sha256" / digest.removeprefix("sha256:")

    @staticmethod
    def _read(path: Path, most: int) -> bytes:
        try:
            if path.stat().st_size > most:
                raise Permanent("TOO_LARGE", f"{path.name} has more than {most} bytes", provider=PROVIDER)
            return path.read_bytes()
        except FileNotFoundError as error:
            raise Permanent("NOT_FOUND", f"there is no {path.name} in the layout", provider=PROVIDER) from error
        except OSError as error:
            raise Temporary(f"{path.name}: {error.strerror}", provider=PROVIDER) from error


class Registry:
    """A registry over HTTP. The token that it gives for a credential lives as long as this object."""

    def __init__(self, url: str, credential: Secret | None, http: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._credential = credential
        self._http = http
        self._tokens: dict[str, str] = {}
        """What is shown for a repository: a bearer token, or the credential itself."""

    async def manifest(self, repository: str, reference: str) -> tuple[bytes, str] | None:
        found = await self._get(repository, f"manifests/{reference}", LARGEST_MANIFEST, accept=MANIFEST)
        if found is None:
            return None
        return (checked(found, reference) if _DIGEST.fullmatch(reference) else found), digest_of(found)

    async def blob(self, repository: str, digest: str) -> bytes:
        found = await self._get(repository, f"blobs/{digest}", LARGEST_BLOB)
        if found is None:
            raise Permanent("NOT_FOUND", f"{repository} has no {digest}", provider=PROVIDER)
        return checked(found, digest)

    async def referrers(self, repository: str, digest: str) -> bytes | None:
        found = await self._get(
            repository, f"referrers/{digest}", LARGEST_MANIFEST, accept=IMAGE_INDEX, unknown=(400, 404, 406)
        )
        if found is not None and is_index(found):
            return found
        return await self._get(repository, f"manifests/{referrers_tag(digest)}", LARGEST_MANIFEST, accept=IMAGE_INDEX)

    async def _get(
        self, repository: str, path: str, most: int, accept: str = "*/*", unknown: Collection[int] = (404,)
    ) -> bytes | None:
        """The body; None for what stands in `unknown`. A demand for a token is met once."""
        for is_last in (False, True):
            headers = {"accept": accept}
            if shown := self._tokens.get(repository):
                headers["authorization"] = shown
            try:
                async with self._http.stream("GET", f"{self._url}/v2/{repository}/{path}", headers=headers) as reply:
                    if reply.status_code == 401 and not is_last:
                        self._tokens[repository] = await self._token(
                            repository, reply.headers.get("www-authenticate", "")
                        )
                        continue
                    if reply.status_code in unknown:
                        return None
                    _demand(reply, f"{repository}/{path}")
                    return await _bounded(reply, most)
            except httpx.HTTPError as error:
                raise Temporary(f"the registry does not answer: {type(error).__name__}", provider=PROVIDER) from None
        raise AssertionError("the second turn answers or raises")

    async def _token(self, repository: str, challenge: str) -> str:
        """What the registry wants to see. Raises Permanent(AUTH)."""
        asked = dict(_PAIR.findall(challenge))
        basic = ""
        if self._credential is not None:
            basic = f"Basic {base64.b64encode(self._credential.reveal_bytes()).decode()}"
        if challenge.lower().startswith("basic") and basic:
            return basic
        if not challenge.lower().startswith("bearer") or not asked.get("realm", "").startswith(
            ("https://", "http://127.")
        ):
            raise Permanent("AUTH", f"the registry lets nobody read {repository}", provider=PROVIDER)
        query = {"service": asked.get("service", ""), "scope": f"repository:{repository}:pull"}
        headers = {"authorization": basic} if basic else {}
        reply = await self._http.get(asked["realm"], params=query, headers=headers)
        _demand(reply, repository)
        body: Mapping[str, Any] = reply.json()
        return f"Bearer {body.get('token') or body.get('access_token') or ''}"


def is_index(content: bytes) -> bool:
    """Whether it is an index; a registry that knows no referrers may lead to a page for people."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and isinstance(document.get("manifests"), list)


def _demand(reply: httpx.Response, what: str) -> None:
    """Raises the failure that an answer stands for."""
    if reply.status_code == 200:
        return
    if reply.status_code in (401, 403):
        raise Permanent("AUTH", f"the registry lets nobody read {what} so", provider=PROVIDER)
    if reply.status_code == 429:
        pause = reply.headers.get("retry-after", "")
        seconds = int(pause) if pause.isdecimal() else 60
        raise RateLimited("the registry asks for a pause", retry_after=timedelta(seconds=seconds), provider=PROVIDER)
    raise Temporary(f"the registry answers {reply.status_code} for {what}", provider=PROVIDER)


async def _bounded(reply: httpx.Response, most: int) -> bytes:
    parts, size = [], 0
    async for part in reply.aiter_bytes():
        size += len(part)
        if size > most:
            raise Permanent("TOO_LARGE", f"more than {most} bytes", provider=PROVIDER)
        parts.append(part)
    return b"".join(parts)
