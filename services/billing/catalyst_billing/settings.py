"""What billing is told."""

from datetime import timedelta
from pathlib import Path

from catalyst_mesh import DaemonSettings
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from .domain.pricing import TaxRule


class Tax(BaseModel):
    """One tax rule of the Sovereign."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    rate_bps: int = Field(ge=0, le=10_000)
    inclusive: bool = False
    applies_to: tuple[str, ...] = ()

    def rule(self) -> TaxRule:
        """The rule as the domain knows it."""
        return TaxRule(self.name, self.rate_bps, self.inclusive, self.applies_to)


class BillingSettings(DaemonSettings):
    """Settings of billing."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_BILLING_")

    listen: str = "127.0.0.1:7410"
    """Address and port of gRPC. Port 0: one that is free."""
    catalog_target: str = "127.0.0.1:7402"
    """gRPC address of the catalog, whose price book makes every price."""
    sovereign: str = Field("sovereigns/home", pattern="^sovereigns/[a-z0-9][a-z0-9.-]*$")
    """Sovereign on which this daemon runs; it owns the house accounts of the book."""
    currency: str = Field("OMR", pattern="^[A-Z]{3}$")
    """Billing currency of the Sovereign, ISO 4217: that of accounts which name none."""
    quote_ttl_seconds: float = Field(1800, gt=0)
    """How long a quote can be ordered, in seconds."""
    order_deadline_seconds: float = Field(1800, ge=300, le=86_400)
    """How long an order waits for its payment, in seconds; credit and voucher are kept as long."""
    poll_open_checkout_seconds: float = Field(60, gt=0)
    """Seconds between two questions to the provider about an open checkout, so that a lost webhook costs 2 minutes."""
    poll_later_seconds: float = Field(300, gt=0)
    """The same after the first ten minutes, and for checkouts that were given up."""
    late_capture_window_seconds: float = Field(86_400, ge=0)
    """How long after its end a checkout is still asked about, in seconds; a capture until then settles or goes back."""
    secrets_folder: Path | None = None
    """Folder whose files are secrets by name, for settings of plugins that name one; none: only those given by admins."""
    reconcile_seconds: float = Field(86_400, gt=0)
    """Seconds between two comparisons of every provider's payments with ours."""
    goodwill_limit: str = Field("20", pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?$")
    """Goodwill that one person may give an account in a month, in its currency, such as 20.000; beyond it two people do."""
    trusted_sovereigns: dict[str, str] = Field(default_factory=dict)
    """Sovereigns whose exported accounts may be taken over: name, `sovereigns/{id}`, and public key in hex, as JSON."""
    worker_pause_seconds: float = Field(0.5, gt=0)
    """Seconds between two looks of a worker at what is due."""
    proof_seconds: float = Field(86_400, gt=0)
    """Seconds between two proofs of the whole book."""
    tax_rules: tuple[Tax, ...] = ()
    """Taxes of the Sovereign, a JSON list of {name, rate_bps, inclusive, applies_to}. Default none."""

    @property
    def quote_ttl(self) -> timedelta:
        return timedelta(seconds=self.quote_ttl_seconds)

    @property
    def order_ttl(self) -> timedelta:
        return timedelta(seconds=self.order_deadline_seconds)

    @property
    def poll_open(self) -> timedelta:
        return timedelta(seconds=self.poll_open_checkout_seconds)

    @property
    def poll_later(self) -> timedelta:
        return timedelta(seconds=self.poll_later_seconds)

    @property
    def late_window(self) -> timedelta:
        return timedelta(seconds=self.late_capture_window_seconds)
