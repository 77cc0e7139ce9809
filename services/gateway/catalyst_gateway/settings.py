"""What the gateway is told."""

from pathlib import Path

from catalyst_mesh import DaemonSettings, Network, Origin, Url
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class GatewaySettings(DaemonSettings):
    """Settings of the gateway."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_GATEWAY_")

    http_listen: str = "127.0.0.1:7400"
    """Address and port of HTTP: REST, streams, console."""
    serves_http: bool = True
    """Whether it answers requests; a projector that runs by itself does not."""
    projects: bool = True
    """Whether it fills the read model. Default: yes; no where projectors run by themselves on the same database."""
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
    environment_target: str = "127.0.0.1:7418"
    """gRPC address of the daemon of Organizations and Environments."""
    call_seconds: float = Field(30.0, gt=0)
    """Deadline of a call behind a request, in seconds."""
    compare_seconds: float = Field(60.0, gt=0)
    """Pause between two looks at what the daemons keep and the read model has not, in seconds."""
    most_body_bytes: int = Field(1024 * 1024, gt=0)
    """Largest body of a request."""
    identity_per_minute: int = Field(600, gt=0)
    """Calls in a minute of one identity that are let through by one replica."""
    address_per_minute: int = Field(120, gt=0)
    """The same of one address whose callers are not known. Pages and their files are not counted."""
    guesses_per_minute: int = Field(10, gt=0)
    """The same of one address where secrets could be tried: signing in, previews of vouchers, checks of slugs."""
    trusted_proxies: tuple[Network, ...] = ("10.42.0.0/16",)
    """JSON: networks of the proxies in front, whose word about the caller's address and scheme counts. Default: the pods."""
    cors_origins: tuple[Origin, ...] = ()
    """JSON: origins whose pages may call with a token of their own, `https://console.example`. Default: none but our own."""
    development: bool = False
    """Whether the console lets the operator in by a code; refused unless HTTP listens on loopback."""
    login_code_file: Path | None = None
    """File with the code of development; `catalyst dev` prints it."""
    operator_token_file: Path | None = None
    """File with the token that the code of development stands for."""
    session_seconds: int = Field(30 * 24 * 3600, gt=0)
    """How long a browser stays signed in, if its provider goes on renewing; seconds."""
    oidc_client_id: str = "catalyst"
    """What the provider of `oidc_issuer` knows this console as."""
    oidc_client_secret_file: Path | None = None
    """File with the client's secret. Default: none, a public client; PKCE is used with either."""
    docs: Path = Path("docs")
    """Folder with the documentation that is served at /docs. Where there is none, nothing is served there."""
    public_url: Url = ""
    """Address at which browsers reach the console, for the way back from the provider. Default: `http://` and `http_listen`."""

    @property
    def origin(self) -> str:
        """The address of the console, without a slash at its end."""
        return (self.public_url or f"http://{self.http_listen}").rstrip("/")

    def target(self, package: str) -> str:
        """gRPC address of the daemon that serves `catalyst.<package>.v1`."""
        return {
            "catalog": self.catalog_target,
            "provisioner": self.provisioner_target,
            "pooldomain": self.pdm_target,
            "continuum": self.continuum_target,
            "billing": self.billing_target,
            "environment": self.environment_target,
        }[package]
