"""Logins of clusters at the repositories: computed from a key, so no start, replica or restore can forget one."""

import hashlib
import hmac
import secrets
from pathlib import Path

from catalyst_mesh.keyfiles import kept

from .domain.environments import Host

_PREFIX = "sovereigns/"


class Logins:
    """A cluster's user is its name, its password is of one life of its Sovereign."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, folder: Path) -> "Logins":
        """With the key that lies beside the repositories, made once by whichever replica comes first."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(bytes.fromhex(kept(folder / ".clusters.key", lambda: secrets.token_hex(32))))

    def password(self, host: Host) -> str:
        """What the cluster shows."""
        return hmac.new(self._key, f"{host.sovereign_uid}/{host.cluster}".encode(), hashlib.sha256).hexdigest()


def is_cluster(user: str) -> bool:
    """Whether a login is one of a cluster."""
    return user.startswith(_PREFIX)
