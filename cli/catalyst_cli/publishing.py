"""What a publisher says about a Blueprint: its bytes packed, a signature of their digest, and a signed bill of materials.

The same folder gives the same bytes, hence the same digest. Signature and statement are in the forms that cosign writes and
the catalogue reads: a simple signing payload, and an in-toto statement in a DSSE envelope (SPDX 2.3).
"""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.layouts import FOLDER, Bundle, digest_of, manifest_of
from catalyst_cli.reading import bytes_of

STATEMENT = "application/vnd.in-toto+json"
SPDX = "https://spdx.dev/Document"
MOST_FILES, LARGEST = 2000, 16 * 1024 * 1024
"""As many as the catalogue takes."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A Blueprint as its author has it."""

    name: str
    version: str
    files: Mapping[str, tuple[bytes, bool]]
    """Content, and whether it may be executed, by path."""
    charts: tuple[Mapping[str, str], ...]
    """What it wraps: `{chart, version, repo}`."""

    @classmethod
    def read(cls, path: Path) -> "Folder":
        """The folder at `path`. Raises Failure where it cannot be published."""
        files = dict(_files(path))
        try:
            document = yaml.safe_load(files["blueprint.yaml"][0])
            spec = document["spec"]
            name, version = str(document["metadata"]["name"]), str(spec.get("version") or "")
            charts = (spec.get("manifests") or {}).get("upstream") or ()
        except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            raise _useless(f"{path} is no folder of a Blueprint", str(error)) from error
        if not version:
            raise _useless(f"{name} has no version yet", "a planned Blueprint has nothing to install")
        return cls(name, version, files, tuple({key: str(one.get(key, "")) for key in _CHART} for one in charts))

    def packed(self) -> tuple[bytes, bytes]:
        """Archive and manifest."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(self.files):
                content, may_run = self.files[name]
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o755 if may_run else 0o644
                tar.addfile(member, io.BytesIO(content))
        archive = gzip.compress(raw.getvalue(), mtime=0)
        return archive, manifest_of([(FOLDER, archive, {})])


@dataclass(frozen=True, slots=True)
class Publisher:
    """Signs with a private key; who trusts its public one takes what it signed."""

    key: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, path: Path) -> "Publisher":
        """The publisher with the key in a file: PEM, elliptic curve, without a password. Raises Failure."""
        try:
            key = serialization.load_pem_private_key(bytes_of(path), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _useless(f"{path} holds no private key in PEM without a password", type(error).__name__) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise _useless(f"{path} holds no key of an elliptic curve", type(key).__name__)
        return cls(key)

    def bundle(self, folder: Folder, where: str, now: datetime) -> Bundle:
        """`folder` with what is said about it; `where` is the repository that the signature names."""
        archive, manifest = folder.packed()
        digest = digest_of(manifest)
        signatures = (self.sign(digest, where),)
        attestations = (self.attest(folder.name, digest, _sbom(folder, now)),)
        return Bundle(folder.name, folder.version, digest, archive, manifest, signatures, attestations)

    def sign(self, digest: str, where: str) -> bytes:
        """A signature of a digest, as the catalogue's contract has it."""
        kind = "cosign container image signature"
        critical = {
            "identity": {"docker-reference": where}, "image": {"docker-manifest-digest": digest}, "type": kind
        }  # fmt: skip
        payload = _json({"critical": critical, "optional": None})
        return _json({"payload": _text(payload), "signature": _text(self._made(payload))})

    def attest(self, name: str, digest: str, predicate: Mapping[str, Any]) -> bytes:
        """A signed statement about a digest."""
        subject = [{"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}]
        statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": SPDX}
        payload = _json({**statement, "predicate": predicate})
        signed = b"DSSEv1 %d %s %d %s" % (len(STATEMENT), STATEMENT.encode(), len(payload), payload)
        sigs = [{"keyid": "", "sig": _text(self._made(signed))}]
        return _json({"payloadType": STATEMENT, "payload": _text(payload), "signatures": sigs})

    def _made(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


_CHART = ("chart", "version", "repo")


def _sbom(folder: Folder, now: datetime) -> dict[str, Any]:
    """What the Blueprint is made of: its files by digest, and the charts that it wraps by name and version."""
    ours = _package("SPDXRef-Blueprint", folder.name, folder.version, "NOASSERTION")
    charts = [
        _package(f"SPDXRef-Chart-{n}", one["chart"], one["version"], one["repo"] or "NOASSERTION")
        for n, one in enumerate(folder.charts)
    ]
    files = [
        {
            "SPDXID": f"SPDXRef-File-{n}", "fileName": f"./{name}", "copyrightText": "NOASSERTION",
            "checksums": [
                {"algorithm": "SHA1", "checksumValue": hashlib.sha1(content, usedforsecurity=False).hexdigest()},
                {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content).hexdigest()},
            ],
        }
        for n, (name, (content, _)) in enumerate(sorted(folder.files.items()))
    ]  # fmt: skip
    links = [("DESCRIBES", "SPDXRef-DOCUMENT", ours["SPDXID"])]
    links += [("DEPENDS_ON", ours["SPDXID"], one["SPDXID"]) for one in charts]
    links += [("CONTAINS", ours["SPDXID"], one["SPDXID"]) for one in files]
    digest = digest_of(_json([one["checksums"] for one in files])).removeprefix("sha256:")
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{folder.name}-{folder.version}",
        "documentNamespace": f"https://catalyst.invalid/spdx/{folder.name}/{folder.version}/{digest}",
        "creationInfo": {"created": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "creators": ["Tool: catalyst"]},
        "packages": [ours, *charts], "files": files,
        "relationships": [
            {"relationshipType": kind, "spdxElementId": one, "relatedSpdxElement": other} for kind, one, other in links
        ],
    }  # fmt: skip


def _package(id: str, name: str, version: str, place: str) -> dict[str, Any]:
    return {
        "SPDXID": id, "name": name, "versionInfo": version, "downloadLocation": place, "filesAnalyzed": False
    }  # fmt: skip


def _files(path: Path) -> list[tuple[str, tuple[bytes, bool]]]:
    """Every file of a folder. Raises Failure for what leads outside, and for too much."""
    found, size = list[tuple[str, tuple[bytes, bool]]](), 0
    for place in sorted(path.rglob("*")):
        if place.is_symlink():
            raise _useless(f"{place} is a link", "what is published is files alone")
        if not place.is_file():
            continue
        content = place.read_bytes()
        size += len(content)
        if len(found) >= MOST_FILES or size > LARGEST:
            raise _useless(f"{path} is too large", f"at most {MOST_FILES} files and {LARGEST} bytes")
        found.append((place.relative_to(path).as_posix(), (content, bool(place.stat().st_mode & 0o100))))
    return found


def _useless(what: str, why: str) -> Failure:
    return Failure(what, why=why, exit_code=EXIT_CODES["INVALID_ARGUMENT"])


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
