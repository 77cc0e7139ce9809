"""What continuum is told."""

from pathlib import Path

from catalyst_mesh import ControllerSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class ContinuumSettings(ControllerSettings):
    """Settings of continuum."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_CONTINUUM_")

    provisioner_target: str = "127.0.0.1:7404"
    """gRPC address of the provisioner, whose events make and end slots, and which is asked where events are missing."""
    cells: str = ""
    """Cells of the default witness, `name=ip:port` joined by commas; an odd number, all independent."""
    cells_file: Path | None = None
    """JSON file with the cells of the default witness instead, of any kind: name, kind (`dns`, `durable-object`, `http-cas`),
    address, domain; zone, key_name, key_file, transport of a name server; token of a store."""
    secrets_folder: Path | None = None
    """Folder with one file a secret, named as the configuration of plugins names it; none: plugins get no secrets."""
    tsig_key_file: Path = Path("tsig.key")
    """File with the TSIG secret of the cells, in base64."""
    witness_zone: str = "witness.test"
    """Zone that every cell serves."""
    lease_ttl: float = Field(10.0, gt=0)
    """T, in seconds: what a holder promises. The times are those of the profile `fast`."""
    lease_renew: float = Field(2.0, gt=0)
    """R, in seconds: from one renewal to the next."""
    op_timeout: float = Field(1.0, gt=0)
    """O, in seconds: patience with one cell."""
    fence_budget: float = Field(3.0, ge=0)
    """F, in seconds: within which a holder's writers are surely stopped."""
    allow_in_memory: bool = False
    """Whether a slot's register may live in one process, which forgets it with its end: for trials only."""
    regulated: bool = False
    """Whether two persons must agree to each run that needs approval, neither of them the one who asks for it."""
    region: str = ""
    """Host cluster that this daemon is the agent of; empty: it only keeps the Sovereigns' own slots."""
    data_dir: Path | None = None
    """Folder on a local disk for what an agent must not forget; default: `data_folder`."""
    trace: Path | None = None
    """File that every change of authority, effect and refusal is appended to; none: it is not written down."""
    peers: str = ""
    """gRPC addresses of the agents of other regions, `region=host:port` joined by commas."""
    traffic_authorities: str = ""
    """Authoritative servers of the slots' names, `name=ip:port` joined by commas."""
    traffic_key_file: Path | None = None
    """File with the TSIG secret that may update those names, in base64."""
    traffic_key_name: str = "catalyst-traffic"
    """Name of that key."""
    pools: str = ""
    """Zones of names that pool-domain-manager alone writes, joined by commas: there names are moved through it."""
    pdm_target: str = "127.0.0.1:7405"
    """gRPC address of pool-domain-manager, asked where `pools` names a zone."""
    resolvers: str = ""
    """Vantage points from which a region's agents look at the names after a move, `name=ip:port` joined by commas; `slot`: the
    resolvers that each slot's wish names. Empty: nobody looks from elsewhere."""
    probes: str = ""
    """Where a canary is written five times a second by the public name, `namespace/name=http://…` joined by commas: what it sees
    of a move is kept with the run. The address answers as `workers.prober` says. Empty: nobody measures."""
    slots_folder: Path | None = None
    """Folder with a JSON file for each slot that has a promoter and gateways of its own, `<namespace>.<name>.json`: `promoter`
    (configuration of the plugin that its mechanism names), `gates` (`ip:port` by region), `gateTokenFile`. It is read when the
    slot's agent starts. What the settings here name serves one slot."""
    gates: str = ""
    """Gateways that let writes through or not, `region=ip:port` joined by commas."""
    gate_token_file: Path | None = None
    """File with the token that gateways take orders with."""
