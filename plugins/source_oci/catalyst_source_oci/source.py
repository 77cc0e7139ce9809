"""Blueprints that an index names: registries have no listing of their own that could be relied on."""

import asyncio
import base64
import io
import json
import re
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

import httpx
from catalyst_sdk import Permanent
from catalyst_sdk.context import Secrets
from catalyst_sdk.source import Artifact, Location, Ref, RefPage, folder_digest

from . import referrers
from .documents import document, layers
from .shelves import PROVIDER, Layout, Registry, Shelf

INDEX = "application/vnd.catalyst.blueprint.index.v1+json"
FOLDER = "application/vnd.catalyst.blueprint.folder.v1.tar+gzip"
SIGNATURE, ATTESTATION = "application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.dsse.envelope.v1+json"
SIGNED_BY = "dev.cosignproject.cosign/signature"
KEYLESS = ("certificate", "chain", "bundle")
"""What cosign notes as `dev.sigstore.cosign/…` beside the signature of a signer without a key."""
PAGE = 500
MOST_FILES, LARGEST = 2000, 16 * 1024 * 1024
_NAME = re.compile(r"bp-[a-z][a-z0-9-]{0,61}[a-z0-9]")
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9a-z.-]+)?")


class OciSource:
    """`blueprint_source` over an index artifact."""

    def __init__(self, secrets: Secrets, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._secrets = secrets
        self._transport = transport

    async def list(self, *, at: Location, cursor: str = "") -> RefPage:
        """The versions of the index after `cursor`, by name and version."""
        async with self._shelf(at) as shelf:
            found = sorted(await _entries(shelf, at), key=lambda ref: ref.path)
        rest = [ref for ref in found if ref.path > cursor]
        return RefPage(tuple(rest[:PAGE]), rest[PAGE - 1].path if len(rest) > PAGE else "")

    async def fetch(self, *, at: Location, ref: Ref) -> Artifact:
        """The bytes of one version, by the digest that the index names, with what is said about that digest."""
        async with self._shelf(at) as shelf:
            repository = _beside(at, f"bp-{ref.name}")
            content, digest = await _manifest(shelf, repository, ref)
            layer = next((one for one in layers(content) if one.get("mediaType") == FOLDER), None)
            if layer is None:
                raise Permanent("UNREADABLE", f"{ref.path} is no folder of a Blueprint", provider=PROVIDER)
            packed = await shelf.blob(repository, str(layer.get("digest")))
            files, executables = await asyncio.to_thread(_unpacked, packed)
            if ref.digest not in ("", digest):  # carried here from a source whose digests are those of folders
                digest, content, packed = _of_folder(ref, files, executables), b"", b""
            signatures = await _signatures(shelf, repository, digest)
            attestations = [raw for _, raw in await _said(shelf, repository, digest, "att", ATTESTATION)]
            signed, stated = await referrers.bundles(shelf, repository, digest)
        said = (*signatures, *signed), (*attestations, *stated)
        return Artifact(files, digest, FOLDER, *said, executables, content, packed)

    async def probe(self, *, at: Location) -> None:
        """Whether the index is there and can be read."""
        async with self._shelf(at) as shelf:
            await _entries(shelf, at)

    @asynccontextmanager
    async def _shelf(self, at: Location) -> AsyncIterator[Shelf]:
        url = at.config.get("registry")
        where = urlparse(url) if isinstance(url, str) else None
        if where is not None and where.scheme == "file" and where.path:
            yield Layout(Path(unquote(where.path)))
            return
        if where is None or where.scheme not in ("https", "http") or not where.netloc:
            raise Permanent("CONFIG", "`registry` must be an address, or file:// and a folder", provider=PROVIDER)
        credential = await self._secrets.resolve(at.credential) if at.credential else None
        # Blobs may lie elsewhere; what comes from there is checked by its digest, and gets no credential of ours.
        async with httpx.AsyncClient(
            timeout=20, follow_redirects=True, transport=self._transport, trust_env=False
        ) as http:
            yield Registry(str(url), credential, http)


async def _entries(shelf: Shelf, at: Location) -> list[Ref]:
    repository, tag = _repository(at), str(at.config.get("tag") or "latest")
    found = await shelf.manifest(repository, tag)
    if found is None:
        raise Permanent("NOT_FOUND", f"there is no index {repository}:{tag}", provider=PROVIDER)
    layer = next((one for one in layers(found[0]) if one.get("mediaType") == INDEX), None)
    if layer is None:
        raise Permanent("UNREADABLE", f"{repository}:{tag} is no index of Blueprints", provider=PROVIDER)
    told = document(await shelf.blob(repository, str(layer.get("digest"))))
    return [
        Ref(f"{name.removeprefix('bp-')}/{version}", _digest(one), version, name.removeprefix("bp-"))
        for one in told.get("blueprints", ())
        # What is no name or no version of ours is somebody else's, and passed over quietly.
        if _NAME.fullmatch(name := str(one.get("name"))) and _VERSION.fullmatch(version := str(one.get("version")))
    ]


def _digest(entry: Mapping[str, Any]) -> str:
    """By what a version is known: the digest that its own source gave it, where it was carried here, else its manifest's."""
    return str(entry.get("folder") or entry.get("digest", ""))


async def _manifest(shelf: Shelf, repository: str, ref: Ref) -> tuple[bytes, str]:
    """The manifest of that digest; where there is none that of the version, whose files then must have it."""
    found = await shelf.manifest(repository, ref.digest) if ref.digest else None
    found = found or await shelf.manifest(repository, ref.version)
    if found is None:
        raise Permanent("NOT_FOUND", f"{ref.path} is not there", provider=PROVIDER)
    return found


def _of_folder(ref: Ref, files: Mapping[str, bytes], executables: frozenset[str]) -> str:
    """The digest of the files, which is the one that was asked for. Raises Permanent."""
    digest = folder_digest({path: (content, path in executables) for path, content in files.items()})
    if digest != ref.digest:
        raise Permanent("UNREADABLE", f"{ref.path} has other bytes than {ref.digest[:80]}", provider=PROVIDER)
    return digest


async def _signatures(shelf: Shelf, repository: str, digest: str) -> tuple[bytes, ...]:
    """Cosign's signatures of a manifest in the form of the contract, and bundles as they are."""
    found = [content for _, content in await _said(shelf, repository, digest, "sig", referrers.BUNDLE)]
    for layer, payload in await _said(shelf, repository, digest, "sig", SIGNATURE):
        notes = layer.get("annotations", {})
        told = {"payload": base64.b64encode(payload).decode(), "signature": str(notes.get(SIGNED_BY, ""))}
        told |= {part: str(notes[name]) for part in KEYLESS if notes.get(name := f"dev.sigstore.cosign/{part}")}
        found.append(json.dumps(told).encode())
    return tuple(found)


async def _said(
    shelf: Shelf, repository: str, digest: str, suffix: str, kind: str
) -> list[tuple[Mapping[str, Any], bytes]]:
    """What was put beside a manifest, under the tag that cosign gives it: descriptors with their content."""
    found = await shelf.manifest(repository, f"{digest.replace(':', '-')}.{suffix}")
    held = layers(found[0]) if found else []
    return [(one, await shelf.blob(repository, str(one.get("digest")))) for one in held if one.get("mediaType") == kind]


def _repository(at: Location) -> str:
    return str(at.config.get("repository") or "blueprint-index")


def _beside(at: Location, name: str) -> str:
    """The repository of a Blueprint: beside the index's."""
    folder = _repository(at).rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def _unpacked(content: bytes) -> tuple[dict[str, bytes], frozenset[str]]:
    """The files of an archive, and which of them may be executed.

    Raises Permanent where one leads outside, is a link, or there is too much.
    """
    files: dict[str, bytes] = {}
    executables: set[str] = set()
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                if member.isdir():
                    continue
                path = PurePosixPath(member.name)
                if not member.isfile() or path.is_absolute() or ".." in path.parts:
                    raise Permanent("PATH_ESCAPES", f"{member.name[:200]} is no file of the folder", provider=PROVIDER)
                size += member.size
                if len(files) >= MOST_FILES or size > LARGEST:
                    why = f"more than {MOST_FILES} files or {LARGEST} bytes"
                    raise Permanent("TOO_LARGE", why, provider=PROVIDER)
                held = archive.extractfile(member)
                files[path.as_posix()] = held.read() if held else b""
                if member.mode & 0o100:
                    executables.add(path.as_posix())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Permanent("UNREADABLE", "the archive cannot be read", provider=PROVIDER) from error
    return files, frozenset(executables)
