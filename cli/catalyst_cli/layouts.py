"""Blueprints in an OCI image layout: a folder that is carried to a site without a network, and read there as a source.

Invariants
  by digest   a version has there the digest that it has here, and what was signed here is signed there;
  only more   what the layout holds stays; the index is written last, so a copy that is cut off names nothing that is absent.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalyst_sdk.source import folder_digest

INDEX = "application/vnd.catalyst.blueprint.index.v1+json"
FOLDER = "application/vnd.catalyst.blueprint.folder.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
SIMPLE_SIGNING, ENVELOPE = "application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.dsse.envelope.v1+json"
SIGSTORE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNED_BY = "dev.cosignproject.cosign/signature"
KEYLESS = ("certificate", "chain", "bundle")
"""What stands as `dev.sigstore.cosign/…` beside the signature of a signer without a key."""
NAMED = "org.opencontainers.image.ref.name"
REPOSITORY, TAG = "blueprint-index", "latest"


class OtherBytes(ValueError):
    """What came is not what has the digest."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version as the catalogue keeps it."""

    name: str
    version: str
    digest: str
    archive: bytes
    manifest: bytes = b""
    signatures: tuple[bytes, ...] = ()
    attestations: tuple[bytes, ...] = ()

    def check(self) -> None:
        """Raises OtherBytes unless these bytes have the digest."""
        if self.manifest:
            layers = [layer.get("digest") for layer in json.loads(self.manifest).get("layers", ())]
            good = digest_of(self.manifest) == self.digest and digest_of(self.archive) in layers
        else:
            good = _of_folder(self.archive) == self.digest
        if not good:
            raise OtherBytes(f"{self.name} {self.version} has other bytes than {self.digest}")


@dataclass(slots=True)
class Layout:
    """A layout that grows; `save` makes it whole."""

    root: Path
    _index: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    _named: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def at(cls, root: Path) -> "Layout":
        """The layout in a folder, with what it holds already."""
        layout = cls(root)
        if (root / "index.json").is_file():
            held = json.loads((root / "index.json").read_bytes())
            layout._named = {one["annotations"][NAMED]: one for one in held["manifests"]}
            index = layout.read(layout._named[f"{REPOSITORY}:{TAG}"]["digest"])
            entries = index_of(index, layout.read)
            layout._index = {(one["name"], one["version"]): one for one in entries}
        return layout

    def digest_of(self, name: str, version: str) -> str:
        """By what a version is known here; empty: it is not here."""
        held = self._index.get((name, version), {})
        return held.get("folder") or held.get("digest", "")

    @property
    def entries(self) -> list[dict[str, str]]:
        """What the index names, by name and version."""
        return [self._index[key] for key in sorted(self._index)]

    @property
    def named(self) -> list[tuple[str, str, bytes]]:
        """Every manifest that has a tag: repository, tag, content."""
        return [(*_parted(name), self.read(self._named[name]["digest"])) for name in sorted(self._named)]

    def add(self, bundle: Bundle) -> None:
        """Take one version in, with what is said about its digest. Raises OtherBytes."""
        bundle.check()
        if bundle.manifest:
            self._keep(bundle.archive)
            config = json.loads(bundle.manifest).get("config", {}).get("digest")
            if config == digest_of(b"{}"):
                self._keep(b"{}")
            digest = self._name(bundle.name, bundle.version, bundle.manifest)
            entry = {"name": bundle.name, "version": bundle.version, "digest": digest}
        else:
            digest = self._put(bundle.name, bundle.version, [(FOLDER, bundle.archive, {})])
            entry = {"name": bundle.name, "version": bundle.version, "digest": digest, "folder": bundle.digest}
        self._say(bundle)
        self._index[bundle.name, bundle.version] = entry

    def save(self) -> None:
        """Write what names it all."""
        self._put(REPOSITORY, TAG, [(INDEX, _index_blob(self.entries), {})])
        (self.root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        named = [self._named[name] for name in sorted(self._named)]
        self._write(self.root / "index.json", _json({"schemaVersion": 2, "manifests": named}))

    def _say(self, bundle: Bundle) -> None:
        """Put signatures and attestations where cosign looks for them."""
        tag = bundle.digest.replace(":", "-")
        if bundle.signatures:
            signed = [layer for raw in bundle.signatures if (layer := _signed(raw))]
            self._put(bundle.name, f"{tag}.sig", signed)
        if bundle.attestations:
            self._put(bundle.name, f"{tag}.att", [(ENVELOPE, raw, {}) for raw in bundle.attestations])

    def _put(self, repository: str, tag: str, layers: Sequence[tuple[str, bytes, Mapping[str, str]]]) -> str:
        for _, content, _ in layers:
            self._keep(content)
        self._keep(b"{}")
        return self._name(repository, tag, manifest_of(layers))

    def _name(self, repository: str, tag: str, manifest: bytes) -> str:
        name = f"{repository}:{tag}"
        self._keep(manifest)
        self._named[name] = _descriptor(MANIFEST, manifest) | {"annotations": {NAMED: name}}
        return digest_of(manifest)

    def _keep(self, content: bytes) -> None:
        place = self._place(digest_of(content))
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            self._write(place, content)

    def read(self, digest: str) -> bytes:
        """The content of a digest."""
        return self._place(digest).read_bytes()

    def _place(self, digest: str) -> Path:
        return self.root / "blobs" / "sha256" / digest.removeprefix("sha256:")

    @staticmethod
    def _write(place: Path, content: bytes) -> None:
        """All of it or nothing, whenever the copy is cut off."""
        fresh = place.with_name(f".{place.name}.part")
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(place)


def manifest_of(layers: Sequence[tuple[str, bytes, Mapping[str, str]]]) -> bytes:
    """The manifest over layers: type, content, annotations."""
    described = [
        _descriptor(kind, content) | ({"annotations": dict(notes)} if notes else {}) for kind, content, notes in layers
    ]
    empty = _descriptor(EMPTY, b"{}")
    return _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "layers": described})


def index_manifest(entries: Sequence[Mapping[str, str]]) -> tuple[bytes, list[bytes]]:
    """The manifest of an index that names these versions, and the blobs that it refers to."""
    blob = _index_blob(entries)
    return manifest_of([(INDEX, blob, {})]), [blob, b"{}"]


def index_of(manifest: bytes, read: Callable[[str], bytes]) -> list[dict[str, str]]:
    """What an index names; `read` gives the content of a digest."""
    entries: list[dict[str, str]] = json.loads(read(json.loads(manifest)["layers"][0]["digest"]))["blueprints"]
    return entries


def referred(manifest: bytes) -> list[str]:
    """Digests of the blobs to which a manifest refers."""
    document = json.loads(manifest)
    return [document["config"]["digest"], *(layer["digest"] for layer in document["layers"])]


def _index_blob(entries: Sequence[Mapping[str, str]]) -> bytes:
    return _json({"blueprints": [dict(entry) for entry in entries]})


def _parted(name: str) -> tuple[str, str]:
    repository, _, tag = name.rpartition(":")
    return repository, tag


def _signed(raw: bytes) -> tuple[str, bytes, dict[str, str]] | None:
    """A signature as a layer with its annotations; Sigstore's bundle holds all by itself.

    None for what is no signature: anybody may have put it beside a good one, and it is worth nothing anywhere.
    """
    try:
        told = json.loads(raw)
        if "verificationMaterial" in told:
            return SIGSTORE, raw, {}
        kept = {name: told[name] for name in KEYLESS if told.get(name)}
        texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in kept.items()}
        notes = {f"dev.sigstore.cosign/{name}": text for name, text in texts.items()}
        return SIMPLE_SIGNING, base64.b64decode(told["payload"]), {SIGNED_BY: str(told["signature"]), **notes}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _of_folder(archive: bytes) -> str:
    files: dict[str, tuple[bytes, bool]] = {}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as packed:
        for member in packed:
            held = packed.extractfile(member)
            files[member.name] = (held.read() if held else b"", bool(member.mode & 0o100))
    return folder_digest(files)


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}


def digest_of(content: bytes) -> str:
    """By which content is known."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
