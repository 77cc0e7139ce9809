"""A fake OCI registry, written from the distribution specification (version 1.1): what pullers and pushers ask, and no more.

It stands for a registry that costs an account; it listens on loopback, keeps everything in memory, and can be told to ask
for a token, to refuse and to lie.
"""

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

INDEX = "application/vnd.catalyst.blueprint.index.v1+json"
FOLDER = "application/vnd.catalyst.blueprint.folder.v1.tar+gzip"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SIMPLE_SIGNING, ENVELOPE = "application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.dsse.envelope.v1+json"
SIGSTORE, SIGNED_BY = "application/vnd.dev.sigstore.bundle.v0.3+json", "dev.cosignproject.cosign/signature"
TOKEN = "fake-registry-token"  # noqa: S105 - of a fake


@dataclass
class FakeRegistry:
    """Use as a context manager: inside of it the registry answers at `url`."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """By repository and tag, or digest."""
    index: list[dict[str, str]] = field(default_factory=list)
    credential: str = ""
    """`user:password` that the service for tokens wants to see; empty: everybody may read."""
    knows_referrers: bool = True
    """Whether it lists referrers itself; else their index is found under their tag alone."""
    status: int = 0
    """What every question is answered with; 0: the truth."""
    asked: list[str] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> "FakeRegistry":
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(*registry._answer(self.path, self.headers.get("authorization", "")))

            def do_HEAD(self) -> None:
                self._reply(*registry._answer(self.path, self.headers.get("authorization", "")), is_head=True)

            def do_POST(self) -> None:
                self._reply(*registry._take("POST", self.path, self.headers.get("authorization", ""), self._body()))

            def do_PUT(self) -> None:
                self._reply(*registry._take("PUT", self.path, self.headers.get("authorization", ""), self._body()))

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("content-length") or 0))

            def _reply(self, status: int, body: bytes, headers: dict[str, str], *, is_head: bool = False) -> None:
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if not is_head:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                registry.asked.append(format % args)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None, "it listens inside of `with`"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(
        self, repository: str, tag: str, layers: Sequence[tuple[str, bytes, Mapping[str, str]]], **more: Any
    ) -> str:
        """Keep a manifest over these layers: type, content, annotations; with `more` fields. Its digest."""
        described = []
        for kind, content, notes in layers:
            self.blobs[_digest(content)] = content
            described.append(_descriptor(kind, content) | ({"annotations": dict(notes)} if notes else {}))
        config = b"{}"
        self.blobs[_digest(config)] = config
        empty = _descriptor("application/vnd.oci.empty.v1+json", config)
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "layers": described, **more}
        ).encode()
        digest = _digest(manifest)
        self.manifests[repository, tag] = self.manifests[repository, digest] = manifest
        return digest

    def publish(self, name: str, version: str, files: Mapping[str, bytes]) -> str:
        """Keep a Blueprint and name it in the index. Its digest."""
        digest = self.put(f"bp-{name}", version, [(FOLDER, archive(files), {})])
        self.index = [one for one in self.index if (one["name"], one["version"]) != (f"bp-{name}", version)]
        self.index.append({"name": f"bp-{name}", "version": version, "digest": digest})
        self.write_index()
        return digest

    def write_index(self) -> None:
        """Have the index say what `index` holds."""
        self.put("blueprint-index", "latest", [(INDEX, json.dumps({"blueprints": self.index}).encode(), {})])

    def sign(self, name: str, digest: str, signatures: Sequence[bytes], attestations: Sequence[bytes] = ()) -> None:
        """Put signatures, each as the SDK's contract gives them, and attestations beside a Blueprint, as cosign does."""
        payloads = [_signed(raw) for raw in signatures]
        tag = digest.replace(":", "-")
        if payloads:
            self.put(f"bp-{name}", f"{tag}.sig", payloads)
        if attestations:
            self.put(f"bp-{name}", f"{tag}.att", [(ENVELOPE, raw, {}) for raw in attestations])

    def attach(self, name: str, digest: str, *bundles: bytes) -> None:
        """Attach bundles to a Blueprint as its referrers; the index of them lies under their tag too."""
        repository = f"bp-{name}"
        subject = _descriptor(MANIFEST, self.manifests[repository, digest])
        found = []
        for number, raw in enumerate(bundles):
            kept = self.put(
                repository, f"attached-{number}", [(SIGSTORE, raw, {})], artifactType=SIGSTORE, subject=subject
            )
            found.append(_descriptor(MANIFEST, self.manifests[repository, kept]) | {"artifactType": SIGSTORE})
        index = json.dumps({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": found}).encode()
        self.manifests[repository, digest.replace(":", "-")] = self.manifests[repository, _digest(index)] = index

    def export(self, folder: Path) -> None:
        """Write everything as an OCI image layout, as it is carried to a site without a network."""
        kept = folder / "blobs" / "sha256"
        kept.mkdir(parents=True, exist_ok=True)
        for content in (*self.blobs.values(), *self.manifests.values()):
            (kept / _digest(content).removeprefix("sha256:")).write_bytes(content)
        named = [
            _descriptor(MANIFEST, content)
            | {"annotations": {"org.opencontainers.image.ref.name": f"{repository}:{tag}"}}
            for (repository, tag), content in self.manifests.items()
            if not tag.startswith("sha256:")
        ]
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": named}))

    def _answer(self, path: str, shown: str) -> tuple[int, bytes, dict[str, str]]:
        where = urlsplit(path).path
        if self.status:
            return self.status, b"{}", {"retry-after": "7"}
        if where == "/token":
            good = f"Basic {base64.b64encode(self.credential.encode()).decode()}"
            return (200, json.dumps({"token": TOKEN}).encode(), {}) if shown == good else (401, b"{}", {})
        repository, kind, reference = _parts(where)
        if (refused := self._refused(repository, shown)) is not None:
            return refused
        if kind == "referrers":
            if not self.knows_referrers:
                return 200, b"<html>not here</html>", {"content-type": "text/html"}
            empty = json.dumps({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": []}).encode()
            tagged = self.manifests.get((repository, reference.replace(":", "-")), empty)
            return 200, tagged, {"content-type": IMAGE_INDEX}
        found = self.manifests.get((repository, reference)) if kind == "manifests" else self.blobs.get(reference)
        return (404, b"{}", {}) if found is None else (200, found, {"content-type": MANIFEST})

    def _take(self, method: str, path: str, shown: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """A push: an upload begins, ends with the digest of its bytes, and a manifest names only what is there."""
        where = urlsplit(path)
        repository, kind, reference = _parts(where.path)
        if (refused := self._refused(repository, shown)) is not None:
            return refused
        if method == "POST" and (kind, reference) == ("blobs", "uploads/"):
            return 202, b"", {"location": f"/v2/{repository}/blobs/uploads/1?state=begun"}
        if kind == "blobs":
            digest = parse_qs(where.query).get("digest", [""])[0]
            if digest != _digest(body):
                return 400, b'{"errors": [{"code": "DIGEST_INVALID"}]}', {}
            self.blobs[digest] = body
            return 201, b"", {}
        document = json.loads(body)
        absent = [one for one in (document["config"], *document["layers"]) if one["digest"] not in self.blobs]
        if absent:
            return 400, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}', {}
        self.manifests[repository, reference] = self.manifests[repository, _digest(body)] = body
        return 201, b"", {}

    def _refused(self, repository: str, shown: str) -> tuple[int, bytes, dict[str, str]] | None:
        if not self.credential or shown == f"Bearer {TOKEN}":
            return None
        challenge = f'Bearer realm="{self.url}/token",service="fake",scope="repository:{repository}:pull"'
        return 401, b"{}", {"www-authenticate": challenge}


def archive(files: Mapping[str, bytes]) -> bytes:
    """A folder as `tar` and `gzip`, the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return gzip.compress(packed.getvalue(), mtime=0)


def _signed(raw: bytes) -> tuple[str, bytes, dict[str, str]]:
    told = json.loads(raw)
    if "verificationMaterial" in told:
        return SIGSTORE, raw, {}
    noted = {f"dev.sigstore.cosign/{name}": told[name] for name in ("certificate", "chain", "bundle") if name in told}
    return SIMPLE_SIGNING, base64.b64decode(told["payload"]), {SIGNED_BY: told["signature"], **noted}


def _parts(path: str) -> tuple[str, str, str]:
    """Repository, `manifests`, `blobs` or `referrers`, and reference of `/v2/…`."""
    for kind in ("manifests", "blobs", "referrers"):
        before, found, reference = path.removeprefix("/v2/").partition(f"/{kind}/")
        if found:
            return before, kind, reference
    return "", "", ""


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
