"""Puts what a layout holds into an OCI registry (distribution specification, version 1.1).

Invariants
  never replaced   a version that the registry's index names keeps its digest: other bytes under it are refused;
  index last       a push that is cut off names nothing that is absent, and can be run again;
  read back        what was put is read again, and has the digest by which it was put.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.layouts import MANIFEST, REPOSITORY, TAG, Layout, digest_of, index_manifest, index_of, referred

_PAIR = re.compile(r'(\w+)="([^"]*)"')


@dataclass(slots=True)
class Registry:
    """A registry, or the part of it below a path."""

    url: str
    """Its address, as `https://registry.example`."""
    under: str
    """Path before each repository; empty: none."""
    login: str
    """`user:password`; empty: nobody's."""
    http: httpx.Client
    _shown: dict[str, str] = field(default_factory=dict)
    """What is shown for a repository: a bearer token, or the login itself."""

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """What a tag or digest names; None where there is none."""
        reply = self._ask("GET", repository, f"manifests/{reference}", headers={"accept": MANIFEST})
        return None if reply.status_code == 404 else _good(reply).content

    def blob(self, repository: str, digest: str) -> bytes:
        """The content of a digest."""
        return _good(self._ask("GET", repository, f"blobs/{digest}")).content

    def put_blob(self, repository: str, content: bytes) -> None:
        """Have the registry keep `content`; nothing is sent where it has it."""
        digest = digest_of(content)
        if self._ask("HEAD", repository, f"blobs/{digest}").status_code == 200:
            return
        begun = _good(self._ask("POST", repository, "blobs/uploads/"))
        place = urljoin(str(begun.url), begun.headers.get("location", ""))
        if urlsplit(place).netloc != urlsplit(self.url).netloc:
            raise Failure(f"the registry wants content of {repository} elsewhere", why=urlsplit(place).netloc)
        way = f"{place}{'&' if urlsplit(place).query else '?'}digest={digest}"
        headers = {"content-type": "application/octet-stream"}
        _good(self._ask("PUT", repository, way, headers=headers, content=content))

    def put_manifest(self, repository: str, reference: str, content: bytes) -> None:
        """Have a tag or digest name `content`, and read it back."""
        headers = {"content-type": MANIFEST}
        _good(self._ask("PUT", repository, f"manifests/{reference}", headers=headers, content=content))
        if self.manifest(repository, reference) != content:
            raise Failure(f"{repository}:{reference} does not come back as it was put")

    def _ask(
        self, method: str, repository: str, path: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> httpx.Response:
        """Ask below a repository, or at a whole address; a demand for a token is met once."""
        name = f"{self.under}/{repository}" if self.under else repository
        way = path if "://" in path else f"{self.url.rstrip('/')}/v2/{name}/{path}"
        for _ in range(2):
            sent = {**(headers or {}), **({"authorization": self._shown[name]} if name in self._shown else {})}
            try:
                reply = self.http.request(method, way, headers=sent, content=content or None)
            except httpx.HTTPError as error:
                raise _away(type(error).__name__) from None
            if reply.status_code != 401 or name in self._shown:
                return reply
            self._shown[name] = self._token(name, reply.headers.get("www-authenticate", ""))
        return reply

    def _token(self, name: str, challenge: str) -> str:
        basic = f"Basic {base64.b64encode(self.login.encode()).decode()}" if self.login else ""
        if challenge.lower().startswith("basic") and basic:
            return basic
        asked = dict(_PAIR.findall(challenge))
        realm = asked.get("realm", "")
        if not challenge.lower().startswith("bearer") or not realm.startswith(("https://", "http://127.")):
            raise Failure(f"the registry lets nobody write {name} so", exit_code=EXIT_CODES["UNAUTHENTICATED"])
        query = {"service": asked.get("service", ""), "scope": f"repository:{name}:pull,push"}
        try:
            told = _good(self.http.get(realm, params=query, headers={"authorization": basic} if basic else {})).json()
        except httpx.HTTPError as error:
            raise _away(type(error).__name__) from None
        return f"Bearer {told.get('token') or told.get('access_token') or ''}"


@contextmanager
def registry_at(url: str, under: str, login: str) -> Iterator[Registry]:
    """A registry for the block."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise Failure(f"{url} is no address of a registry", exit_code=EXIT_CODES["INVALID_ARGUMENT"])
    with httpx.Client(timeout=60, trust_env=False) as http:
        yield Registry(url, under.strip("/"), login, http)


def named_in(registry: Registry) -> list[dict[str, str]]:
    """What the registry's index names; nothing where there is no index yet."""
    manifest = registry.manifest(REPOSITORY, TAG)
    return index_of(manifest, lambda digest: registry.blob(REPOSITORY, digest)) if manifest is not None else []


def push(layout: Layout, registry: Registry, told: Callable[[dict[str, str]], None]) -> None:
    """Put every version of `layout` there with what is said about it, then name them; `told` hears of each."""
    there = {(one["name"], one["version"]): one for one in named_in(registry)}
    for entry in layout.entries:
        held = there.get((entry["name"], entry["version"]))
        if held is not None and held != entry:
            name = f"{entry['name']} {entry['version']}"
            why, code = "a version is never replaced: publish another one", EXIT_CODES["ALREADY_EXISTS"]
            raise Failure(f"{name} is {held['digest']} there, and {entry['digest']} here", why=why, exit_code=code)
    for repository, tag, manifest in layout.named:
        if (repository, tag) == (REPOSITORY, TAG):
            continue
        for digest in referred(manifest):
            registry.put_blob(repository, layout.read(digest))
        registry.put_manifest(repository, tag, manifest)
    merged = {**there, **{(one["name"], one["version"]): one for one in layout.entries}}
    index, blobs = index_manifest([merged[key] for key in sorted(merged)])
    for content in blobs:
        registry.put_blob(REPOSITORY, content)
    if registry.manifest(REPOSITORY, TAG) != index:
        registry.put_manifest(REPOSITORY, TAG, index)
    for entry in layout.entries:
        told({**entry, "now": "was there" if (entry["name"], entry["version"]) in there else "pushed"})


def _good(reply: httpx.Response) -> httpx.Response:
    if reply.is_success:
        return reply
    where = urlsplit(str(reply.url)).path
    if reply.status_code in (401, 403):
        raise Failure(f"the registry lets nobody do this at {where} so", exit_code=EXIT_CODES["UNAUTHENTICATED"])
    raise Failure(f"the registry answers {reply.status_code} at {where}", why=_said(reply))


def _said(reply: httpx.Response) -> str:
    try:
        errors: list[dict[str, Any]] = reply.json().get("errors", [])
        return "; ".join(f"{one.get('code', '')} {one.get('message', '')}".strip() for one in errors)[:300]
    except (ValueError, AttributeError, TypeError):
        return ""


def _away(why: str) -> Failure:
    return Failure("the registry does not answer", why=why, exit_code=EXIT_CODES["UNAVAILABLE"])
