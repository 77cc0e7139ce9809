"""Settings: environment only, one frozen class per daemon, every fault of a start reported at once."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from .addresses import Url
from .identity import TokenFile
from .roles import MEMBER_NAMES, SOVEREIGN_NAMES
from .tls import CertificateFiles

SHARED = frozenset({"CATALYST_FAILPOINTS", "CATALYST_TRACE_PLUGINS", "CATALYST_REQUIRE_REAL"})
DAEMONS = ("CATALOG", "PROVISIONER", "PDM", "CONTINUUM", "BILLING", "GATEWAY", "ENVIRONMENT", "DEV", "CLI")


_PASSWORD = re.compile(r"(://[^/@\s:]*):[^/@\s]+@")


class SettingsFault(SystemExit):
    """Settings with which a daemon does not start; the text lists every fault."""


class DaemonSettings(BaseSettings):
    """What every daemon is told. A daemon's own class adds fields and its `env_prefix`."""

    model_config = SettingsConfigDict(
        frozen=True, use_attribute_docstrings=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: str = "sqlite+aiosqlite:///catalyst.db"
    """Where the daemon's tables stand: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://…`."""
    database_password_file: Path | None = None
    """File with the password of the database's role, read at each new connection: role and file may be changed, in either
    order, while the daemon runs. Default: the password stands in the URL."""
    nats_url: str = "nats://127.0.0.1:4222"
    """The NATS server with JetStream."""
    nats_token: SecretStr = SecretStr("")
    """Token for the NATS server; empty where it asks for none."""
    nats_monitor_url: Url = ""
    """Monitoring address of the NATS server, `http://127.0.0.1:8222`, where `catalyst doctor` learns how it syncs; empty:
    unknown."""
    listen: str = "127.0.0.1:0"
    """Address and port of gRPC. Port 0: one that is free."""
    side_listen: str = "127.0.0.1:0"
    """Address and port of /metrics, /livez and /readyz."""
    jwks_file: Path = Path("jwks.json")
    """Public keys of the development issuer, by which tokens of callers are checked; read again when the file changes.
    With `oidc_issuer` or `kubernetes_url` it counts only where it is set."""
    oidc_issuer: Url = ""
    """URL of the OpenID provider whose tokens name people, exactly as in `iss`; HTTPS, or HTTP on this machine. Empty: none."""
    oidc_audience: str = "catalyst"
    """Audience that people's tokens must name."""
    oidc_ca_file: Path | None = None
    """Certificates that the provider's is checked by, PEM. Default: those of the system."""
    oidc_keys_seconds: float = Field(300, gt=0)
    """Age in seconds from which the provider's keys are fetched anew; a withdrawn key counts no longer than that."""
    oidc_refetch_seconds: float = Field(30, gt=0)
    """Least seconds between two questions for keys, so that rubbish tokens cannot flood the provider."""
    oidc_grace_seconds: float = Field(3600, gt=0)
    """Seconds from the provider's last answer for which its keys go on being right; then nobody is let in."""
    oidc_roles_claim: str = "realm_access.roles"
    """Claim with the roles over the Sovereign, dots between its steps. Default: where Keycloak writes realm roles."""
    oidc_groups_claim: str = "groups"
    """Claim with the memberships, `/<organization>/<role>`."""
    oidc_roles: dict[str, str] = dict(SOVEREIGN_NAMES)
    """JSON: the provider's name of a role over the Sovereign to ours. Roles that it does not name mean nothing."""
    oidc_member_roles: dict[str, str] = dict(MEMBER_NAMES)
    """JSON: the last part of a group to our role in the Organization. Groups that it does not name mean nothing."""
    kubernetes_url: Url = ""
    """API server that workloads' tokens are shown to, `https://kubernetes.default.svc` in a cluster. Empty: none are taken."""
    kubernetes_issuer: str = "https://kubernetes.default.svc.cluster.local"
    """`iss` of the cluster's tokens (`--service-account-issuer`); only such tokens are shown to its API server."""
    kubernetes_ca_file: Path | None = None
    """Certificates that the API server's is checked by, PEM. Default: those of the system."""
    kubernetes_token_file: Path | None = None
    """This daemon's token for the API server; it needs the role `system:auth-delegator`. Somebody else renews it."""
    workload_audience: str = ""
    """Audience that workloads' tokens must name. Default: `catalyst-<service>`, so that one stolen here opens no other door."""
    workloads: dict[str, str] = {}
    """JSON: `system:serviceaccount:<namespace>:<name>` to the daemon that it is. Accounts that it does not name are nobody."""
    token_file: Path | None = None
    """This daemon's own token for calls to its peers; somebody else renews it."""
    token_folder: Path | None = None
    """Folder with a token for each peer instead, in a file of the peer's name (`catalog`), so that each is bound to one audience
    and opens no other door. Default: `token_file` for all."""
    memberships_target: str = ""
    """gRPC address of the daemon of Organizations, which is asked who is a member of which; half a minute old at most, and closed
    while it does not answer. Empty: people's tokens say it."""
    data_folder: Path = Path(".")
    """Folder for what is not in the database: the sealing key, plugins' folders."""
    keyring_file: Path | None = None
    """Keyring by which values are sealed at rest, read again when it changes. Default: `seal.key` in `data_folder`, which is made
    where it is absent; in Kubernetes a file of a Secret that is mounted as a folder, for one by `subPath` would never change."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG, INFO, WARNING or ERROR. Refused authorisation is a WARNING and is written at ERROR too."""
    sovereign: str = ""
    """Sovereign on which the daemon runs, `sovereigns/home`; it stands in each line of the log. Empty: it does not."""
    otlp_endpoint: Url = ""
    """OTLP/HTTP collector that gets the spans, `http://127.0.0.1:4318`. Empty: none are made, and their code stays out of
    memory."""
    trace_ratio: float = Field(1.0, ge=0, le=1)
    """Share of the traces that are kept, 0 to 1; the same in all daemons, so that each kept trace is whole."""
    tls_certificate_file: Path | None = None
    """Certificate (PEM) that gRPC shows to callers and peers; read again when it changes. None: gRPC is served plain, for
    a network that encrypts by itself."""
    tls_key_file: Path | None = None
    """Private key (PEM) of that certificate."""
    tls_authorities_file: Path | None = None
    """Authorities (PEM) by which certificates of peers are checked; set, peers are called over TLS. During a change of
    authority it holds the old and the new one."""
    tls_require_client: bool = False
    """Whether callers must show a certificate that one of the authorities signed (mutual TLS)."""
    drain_seconds: float = Field(2.0, ge=0)
    """How long the daemon stays up after it said NOT_SERVING, so that peers notice. In Kubernetes 5."""
    poll_seconds: float = Field(2.0, gt=0, le=15)
    """Seconds between two looks at the database by background work that nobody woke. What this replica commits wakes it at
    once, and what others commit too while NATS is there."""
    plugins: dict[str, dict[str, Any]] = {}
    """Configuration of plugins by `kind:name`, as JSON; checked against each plugin's schema."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("TLS needs both tls_certificate_file and tls_key_file, or neither")
        if self.tls_require_client and not (self.tls_certificate_file and self.tls_authorities_file):
            raise ValueError("tls_require_client needs tls_certificate_file, tls_key_file and tls_authorities_file")
        return self

    @property
    def keyring(self) -> Path:
        """Where the keyring is."""
        return self.keyring_file or self.data_folder / "seal.key"

    def certificates(self) -> CertificateFiles | None:
        """The certificates of this daemon; None where TLS is not asked for. Raises CertificatesUnusable, OSError."""
        if self.tls_certificate_file is None and self.tls_authorities_file is None:
            return None
        return CertificateFiles(
            certificate=self.tls_certificate_file, key=self.tls_key_file, authorities=self.tls_authorities_file
        )

    def token_for(self, peer: str) -> TokenFile:
        """This daemon's token for `peer`, named as its contract is (`pooldomain`)."""
        return TokenFile(self.token_folder / peer if self.token_folder else self.token_file)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed over: `load` alone reads the environment, all of it."""
        return (init_settings,)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, argv: list[str] | None = None) -> Self:
        """Read the environment. Raises SettingsFault with every fault; `--print-config` prints and ends."""
        prefix = str(cls.model_config["env_prefix"])
        given = dict(os.environ if environ is None else environ)
        faults = _unknown(cls, given, prefix)
        values = _values(cls, given, prefix, faults)
        try:
            settings = cls(**values)
        except ValidationError as error:
            faults += [_fault(cls, prefix, e) for e in error.errors(include_input=False)]
        if faults:
            raise SettingsFault("\n".join(["the settings cannot be used:", *faults]))
        if "--print-config" in (sys.argv[1:] if argv is None else argv):
            print(settings.describe(given))  # noqa: T201 - this is what was asked for
            raise SystemExit(0)
        return settings

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """As in any model, but for the password of a URL."""
        return ((name, _veiled(value)) for name, value in super().__repr_args__())

    def describe(self, environ: Mapping[str, str]) -> str:
        """Every field with its value and where that came from; secrets masked."""
        prefix = str(self.model_config["env_prefix"])
        lines = []
        for name in type(self).model_fields:
            variable = (prefix + name).upper()
            origin = "environment" if variable in environ else "file" if f"{variable}_FILE" in environ else "default"
            shown = _veiled(str(getattr(self, name)))
            lines.append(f"{variable}={shown}  # {origin}")
        return "\n".join(lines)


class ControllerSettings(DaemonSettings):
    """What a daemon is told besides that owns kinds of objects in a cluster."""

    controllers: bool = False
    """Whether objects of this daemon's kinds are reconciled, in the cluster of `kubernetes_url` and with the token of
    `kubernetes_token_file`. Off: they are checked by the API server and otherwise ignored."""

    @model_validator(mode="after")
    def _cluster_is_named(self) -> Self:
        if self.controllers and not (self.kubernetes_url and self.kubernetes_token_file):
            raise ValueError("controllers needs kubernetes_url and kubernetes_token_file")
        return self


def _veiled(value: Any) -> Any:
    return _PASSWORD.sub(r"\1:**********@", value) if isinstance(value, str) else value


def _values(cls: type[DaemonSettings], given: Mapping[str, str], prefix: str, faults: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    shape = EnvSettingsSource(cls)
    for name, field in cls.model_fields.items():
        variable = (prefix + name).upper()
        try:
            text = _text(given, variable, has_file=f"{name}_file" not in cls.model_fields)
            if text is not None:
                values[name] = json.loads(text) if shape.field_is_complex(field) else text
        except OSError as error:
            faults.append(f"  {variable}_FILE: {error.strerror}: {error.filename}")
        except UnicodeDecodeError:
            faults.append(f"  {variable}_FILE: it holds no UTF-8 text")
        except ValueError as error:  # never its text: that may be a secret
            faults.append(f"  {variable}: no JSON: {getattr(error, 'msg', 'unreadable')} ({field.description})")
    return values


def _text(given: Mapping[str, str], variable: str, *, has_file: bool) -> str | None:
    if variable in given:
        return given[variable]
    path = given.get(f"{variable}_FILE") if has_file else None
    return Path(path).read_text().strip() if path else None


def _unknown(cls: type[DaemonSettings], given: Mapping[str, str], prefix: str) -> list[str]:
    own = {(prefix + name).upper() for name in cls.model_fields}
    own |= {f"{name}_FILE" for name in own}
    others = tuple(f"CATALYST_{daemon}_" for daemon in DAEMONS if f"CATALYST_{daemon}_" != prefix.upper())
    return [
        f"  {name}: there is no such setting; `--print-config` lists them"
        for name in sorted(given)
        if name.startswith("CATALYST_") and name not in own | SHARED and not name.startswith(others)
    ]


def _fault(cls: type[DaemonSettings], prefix: str, error: Any) -> str:
    if not error["loc"]:  # what concerns several fields names them itself
        return f"  {prefix.upper()}*: {error['msg']}"
    name = str(error["loc"][0])
    field = cls.model_fields.get(name)
    meaning = f" ({field.description})" if field and field.description else ""
    return f"  {(prefix + name).upper()}: {error['msg']}{meaning}"
