"""What the daemon is told."""

from pathlib import Path

from catalyst_mesh import ControllerSettings, Network, Url
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class EnvironmentSettings(ControllerSettings):
    """Settings of the daemon of Organizations, Environments and Applications."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_ENVIRONMENT_")

    billing_target: str = "127.0.0.1:7410"
    """gRPC address of billing, which keeps an account for each Organization."""
    catalog_target: str = "127.0.0.1:7402"
    """gRPC address of the catalog, which plans installations."""
    provisioner_target: str = ""
    """gRPC address of the provisioner, whose clusters run Applications. Empty: Applications are files in Git and run nowhere."""
    git_folder: Path | None = None
    """Folder of the repositories; replicas share it. Default: `git` below `data_folder`."""
    repositories_listen: str = ""
    """Address and port at which repositories are served over HTTP, to whoever shows a token. Empty: they are not."""
    repositories_url: Url = ""
    """URL under which clusters reach the repositories, without an Organization. Default: HTTP at `repositories_listen`."""
    delivery_pause: float = Field(default=1.0, gt=0)
    """Seconds between two rounds of telling clusters what is to run, while something is on its way; ten times that otherwise."""
    shared_ports: bool = False
    """Whether other replicas on this machine serve repositories at the same address (SO_REUSEPORT). In `catalyst dev` only."""
    grace_seconds: float = Field(default=7 * 86400.0, ge=0)
    """Time in which a deletion of an Organization can be taken back, in seconds; seven days in production."""
    promotion_pause: float = Field(default=5.0, gt=0)
    """Seconds between two looks at promotions that wait, at branches behind gates, and at what policies ask of clusters."""
    lease_ttl: float = Field(default=15.0, gt=0)
    """Seconds for which a run stays with a replica that is not heard of."""
    allow_private_webhooks: bool = False
    """Whether webhooks may go to addresses of this machine and its networks, and over plain HTTP. In development only."""
    own_networks: tuple[Network, ...] = ()
    """JSON: public networks that are the Sovereign's own, `203.0.113.0/24`; webhooks are not sent there. Default: none are
    known, private ones are refused anyway."""
