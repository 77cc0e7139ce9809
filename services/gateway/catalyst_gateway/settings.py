"""What the gateway is told."""

from pathlib import Path

from catalyst_mesh import DaemonSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class GatewaySettings(DaemonSettings):
    """Settings of the gateway."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_GATEWAY_")

    http_listen: str = "127.0.0.1:7400"
    """Address and port of HTTP: REST, streams, console."""
    shared_ports: bool = False
    """Whether other replicas on this machine serve HTTP at the same address (SO_REUSEPORT). In `catalyst dev` only."""
    catalog_target: str = "127.0.0.1:7402"
    """gRPC address of the catalog."""
    provisioner_target: str = "127.0.0.1:7404"
    """gRPC address of the provisioner."""
    pdm_target: str = "127.0.0.1:7406"
    """gRPC address of the pool-domain manager."""
    continuum_target: str = "127.0.0.1:7408"
    """gRPC address of continuum."""
    billing_target: str = "127.0.0.1:7410"
    """gRPC address of billing."""
    call_seconds: float = 30.0
    """Deadline of a call behind a request, in seconds."""
    compare_seconds: float = Field(60.0, gt=0)
    """Pause between two looks at what the daemons keep and the read model has not, in seconds."""
    most_body_bytes: int = 1024 * 1024
    """Largest body of a request."""
    development: bool = False
    """Whether the console lets the operator in by a code; refused unless HTTP listens on loopback."""
    login_code_file: Path | None = None
    """File with the code of development; `catalyst dev` prints it."""
    operator_token_file: Path | None = None
    """File with the token that the code of development stands for."""
    session_seconds: int = 12 * 3600
    """How long a browser stays signed in."""

    def target(self, package: str) -> str:
        """gRPC address of the daemon that serves `catalyst.<package>.v1`."""
        return {
            "catalog": self.catalog_target,
            "provisioner": self.provisioner_target,
            "pooldomain": self.pdm_target,
            "continuum": self.continuum_target,
            "billing": self.billing_target,
        }[package]
