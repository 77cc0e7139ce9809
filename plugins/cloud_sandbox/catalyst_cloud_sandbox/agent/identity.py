"""Who the agent is: a key that never leaves its folder, and what enrolment gave for it.

`python -m catalyst_cloud_sandbox.agent.identity DIR` makes key and certificate request in a process of its own, because
the library for it would stay in the agent's memory for ever.
"""

import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from . import description, files

KEY, REQUEST, IDENTITY, API = "key.pem", "request.pem", "identity.json", "api.pem"

API_LIFE = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Tree:
    """Where the cluster pulls from."""

    url: str = ""
    branch: str = "main"
    path: str = ""
    commit: str = ""
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What enrolment gave."""

    cluster: str
    server: str
    agent_token: str = field(repr=False)
    certificate_pem: str = field(repr=False)
    ca_bundle_pem: str
    expires_at: float
    renew_at: float
    heartbeat_seconds: float
    tree: Tree

    @property
    def fqdn(self) -> str:
        """Name of the Sovereign, from the folder `clusters/{fqdn}/{cluster}`; empty while there is none."""
        parts = self.tree.path.split("/")
        return parts[1] if len(parts) > 1 else ""

    def with_tree(self, tree: Tree) -> "Identity":
        """The same with another tree."""
        return replace(self, tree=tree)


def save(folder: Path, identity: Identity) -> None:
    """Keep it, token and all, for nobody else to read."""
    files.write(folder / IDENTITY, asdict(identity))


def load(folder: Path) -> Identity | None:
    """What was kept; None before enrolment."""
    raw = files.read(folder / IDENTITY)
    return None if raw is None else Identity(**{**raw, "tree": Tree(**raw["tree"])})


Making = subprocess.Popen[bytes] | None
"""A process that makes key and request; None where they are made."""


def prepare(folder: Path) -> Making:
    """Begin to make key and request; None where they are."""
    if (folder / REQUEST).exists() and (folder / API).exists():
        return None
    return subprocess.Popen([sys.executable, "-m", __spec__.name, str(folder)], stdin=subprocess.DEVNULL)


def make(folder: Path) -> None:
    """Make a key, a certificate request for it, and the certificate of the cluster's API. Done by two at once, both use the
    key of the first."""
    from datetime import UTC, datetime
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    fresh = ec.generate_private_key(ec.SECP256R1())
    files.write_new(folder / KEY, fresh.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"simulated-{folder.name}")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    files.write_new(folder / REQUEST, request.public_bytes(encoding))
    here = description.read(folder)
    if here is None or not here.address:
        return
    own, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + API_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(here.address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(own, hashes.SHA256())
    )
    secret = own.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    files.write_new(folder / API, certificate.public_bytes(encoding) + secret)


def public_part(path: Path) -> str:
    """The certificate of a file that holds its key too; empty where there is no file."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""
    return text.partition("-----BEGIN PRIVATE KEY-----")[0]


if __name__ == "__main__":
    make(Path(sys.argv[1]))
