"""What PDM is told."""

from pathlib import Path

from catalyst_mesh import DaemonSettings, Url
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class PdmSettings(DaemonSettings):
    """Settings of the pool-domain manager."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_PDM_")

    dns_control: str = ""
    """Control address of the embedded DNS server, `ip:port`; empty: the backend `embedded` is not configured."""
    dns_data: Path = Path(".")
    """Folder of the embedded DNS server, where its control token lies."""
    secrets_folder: Path | None = None
    """Folder with one file a secret, named as the configuration of plugins names it; none: plugins get no secrets."""
    dns_hints: Path | None = None
    """JSON file that says at which address and port each name server really listens."""
    egress_ip: str = ""
    """Address from which registrars see our calls; told to owners of accounts whose registrar has a list of addresses."""
    dns_trust_anchor: Path | None = None
    """DNSKEY or DS records of the root in presentation form, from which every chain is checked; none: chains are not checked."""
    reservation_ttl: float = Field(600.0, gt=0)
    """How long a reservation lasts without a commit, in seconds, unless the pool says otherwise."""
    quarantine: float = Field(30 * 24 * 3600.0, ge=0)
    """How long a released name rests, in seconds, unless the pool says otherwise: caches, cookies and links live on."""
    replicas: int = Field(1, ge=1)
    """How many of this daemon share the calls; each allows its part of the rates of a pool, so that the sum holds."""
    sweep_interval: float = Field(30.0, gt=0)
    """Seconds between two looks at what time has ended."""
    drift_interval: float = Field(300.0, gt=0)
    """Seconds between two looks at every zone, backend and servers, against what is wished."""
    least_ttl: int = Field(60, ge=1)
    """Shortest time to live in seconds that a pool may wish, since resolvers ask the more often, the shorter. Development: 1."""
    force_release_grace: float = Field(720 * 3600.0, ge=0)
    """Seconds after its reservation before an operator may take a name from who holds it."""
    lease: float = Field(10.0, ge=8.0)
    """Seconds for which other replicas wait for one that holds a lease and is not heard of: a longer one suits a slow database. A
    step begins only while 5 of them are left."""
    batch_window: float = Field(0.1, ge=0)
    """Seconds for which changes of one parent zone are gathered."""
    resolvers: tuple[str, ...] = ()
    """Resolvers, `address:port` each, that are asked whether a name still resolves before it is given away, and while a domain
    moves which name servers they tell; a JSON list."""
    flip_probe: float = Field(10.0, gt=0)
    """Seconds between two looks at new name servers and at the parent while a domain moves."""
    flip_watch: float = Field(600.0, ge=0)
    """Seconds for which a moved domain is watched at least; caches may need longer, and are waited for anyway."""
    flip_ttl: int = Field(300, ge=1)
    """Lifetime in seconds of a zone's own NS while it moves, so that a way back is soon seen everywhere."""
    registrar_poll: float = Field(15.0, gt=0)
    """Seconds between two questions to a registrar about a change that it has in hand."""
    rdap_url: Url = ""
    """Base URL of an RDAP server that says what is locked of a domain; empty: nobody is asked."""
    certificate_logs_url: str = ""
    """Base URL of a search over certificate logs that speaks as Cert Spotter's does, `https://api.certspotter.com`: a name
    of which a certificate is still valid rests once more before it is given away. Empty: nobody is asked."""
    certificate_logs_token_file: Path | None = None
    """File with the token for that search; none: it is asked as anybody may."""
