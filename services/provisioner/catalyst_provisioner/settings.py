"""What the provisioner is told."""

from pathlib import Path
from typing import Any

from catalyst_mesh import ControllerSettings, Target, Url
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class ProvisionerSettings(ControllerSettings):
    """Settings of the provisioner."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_PROVISIONER_")

    catalog_target: str = "127.0.0.1:7402"
    """gRPC address of the catalog, which answers closures."""
    pdm_target: str = "127.0.0.1:7406"
    """gRPC address of the pool domain manager, which holds names."""
    billing_target: str = "127.0.0.1:7410"
    """gRPC address of billing, which knows whether an order is paid."""
    public_url: Target = ""
    """gRPC target under which agents reach this daemon, `host:port`. Empty: the address that it listens on."""
    require_paid_order: bool = False
    """Whether a Sovereign that was never active needs a paid order. On in `catalyst dev`."""
    sandbox_dir: Path | None = None
    """Folder of the simulated cloud. Default: the plugin's own folder below `data_folder`."""
    time_scale: float = Field(default=1.0, gt=0, le=10)
    """Factor on the durations of simulated clusters and on our own pauses between two looks. Development only."""
    git_listen: str = "127.0.0.1:7440"
    """Address and port at which trees are served, read-only, over HTTP."""
    trees_url: Url = ""
    """URL under which clusters reach the trees, without a Sovereign. Default: HTTP at `git_listen`."""
    shared_ports: bool = False
    """Whether other replicas on this machine serve trees at the same address (SO_REUSEPORT). In `catalyst dev` only."""
    destroy_verify_seconds: float = Field(default=30.0, ge=0)
    """Pause between the two looks that must both find nothing before a Sovereign counts as destroyed."""
    dns_hints: Path | None = None
    """JSON file, server name to `address:port`, by which authoritative servers are found. Required for the probe."""
    dns_trust_anchor: Path | None = None
    """DNSKEY of the root in presentation form, from which answers are validated. Required for the probe."""
    trust_bundle: Path | None = None
    """Certificates by which a console's HTTPS is checked, PEM. Default: those of the system."""
    lease_ttl: float = Field(default=15.0, gt=0)
    """Seconds for which a run stays with a replica that is not heard of."""
    drift_interval: float = Field(default=1800.0, gt=0)
    """Seconds between two looks at whether an active Sovereign is still as it was applied."""
    reservation_ttl: float = Field(default=600.0, ge=3)
    """Seconds for which a name is held between two renewals, which come at a third of it."""
    enrolment_ttl: float = Field(default=1800.0, gt=0)
    """Seconds for which the one-time token of a server counts from the server's creation."""
    max_tofu: int = Field(default=4, ge=1)
    """Clusters for which OpenTofu or Terraform works at a time; each takes some 200 MB and a core while it plans."""
    most_runs: int = Field(default=100, ge=1)
    """Runs that one replica carries at a time."""
    sovereign_defaults: dict[str, Any] = Field(default_factory=dict)
    """JSON: what objects of kind Sovereign leave open, as a SovereignSpec has it: owner, sizes, credentials."""
    requesters: bool = False
    """Whether the annotation `catalyst.openova.io/applied-by` tells who applied an object: where the API server writes it."""
    requester_prefix: str = ""
    """What stands before the subject in it, the API server's `--oidc-username-prefix`."""
    channels_file: Path | None = None
    """YAML: by channel (`canary`, `ring1` and on, `stable`) its `versions` by Blueprint, and `after`, the channel whose
    Sovereigns have to stand well with them first. Read for each plan. Default: every Sovereign takes the catalog's newest."""
    states_namespace: str = "catalyst-system"
    """Namespace in which each Sovereign's provisioning is shown as a ProvisioningState, where `controllers` is on."""
