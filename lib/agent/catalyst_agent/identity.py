"""Who the agent is: a key that never leaves the server, and what enrolment gave for it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import files

KEY, REQUEST, IDENTITY = "agent.key", "agent.csr", "identity.json"
PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Identity:
    """What enrolment gave, as far as the line home needs it."""

    endpoint: str
    cluster: str
    server: str
    server_id: str
    role: str
    """`init`, `join` or `worker`."""
    agent_token: str = field(repr=False)
    authority_pem: str
    """By what the provisioner's certificate is checked; empty where it is asked without TLS."""
    renew_at: float
    heartbeat_seconds: float

    @property
    def tells_of_the_cluster(self) -> bool:
        """Whether this server sees the whole of it: a worker has no access to the API."""
        return self.role != "worker"


def save(folder: Path, identity: Identity) -> None:
    """Keep it, token and all."""
    files.write(folder / IDENTITY, json.dumps(asdict(identity)))


def load(folder: Path) -> Identity | None:
    """What was kept; None before enrolment."""
    raw = files.read_json(folder / IDENTITY)
    return Identity(**raw) if raw else None


def request_pem(folder: Path) -> str:
    """The certificate request of this server's key, both made once: a lost answer is given again to the same key only."""
    request = folder / REQUEST
    if not request.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        files.write(folder / KEY, key.private_bytes(PEM, _FORM, serialization.NoEncryption()).decode())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "catalyst agent")])
        made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        files.write(request, made.public_bytes(PEM).decode())
    return request.read_text(encoding="ascii")


_FORM = serialization.PrivateFormat.PKCS8
