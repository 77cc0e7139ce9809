"""What billing is told."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from catalyst_mesh import DaemonSettings
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from .domain.fulfilment import Failing
from .domain.postings import Books
from .domain.pricing import TaxRule
from .domain.subscriptions import Dunning
from .domain.usage import Windows


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
    worker_pause_seconds: float = Field(2.0, gt=0)
    """Seconds between two looks of a worker at what time has made due; of what is committed it hears at once."""
    proof_seconds: float = Field(86_400, gt=0)
    """Seconds between two proofs of the whole book."""
    tax_rules: tuple[Tax, ...] = ()
    """Taxes of the Sovereign, a JSON list of {name, rate_bps, inclusive, applies_to}. Default none."""

    billing_time_zone: str = "UTC"
    """Zone in which days, months and periods are counted, such as `Asia/Muscat`."""
    dunning_retry_days: tuple[int, ...] = (1, 3, 5)
    """Days after the first failure on which a renewal is tried again."""
    grace_day: int = Field(3, ge=1)
    """Day after the first failure from which nothing new is installed."""
    suspend_day: int = Field(7, ge=1)
    """Day after the first failure on which a subscription is suspended: workloads go to zero, data stays."""
    cancel_day: int = Field(30, ge=1)
    """Day after the first failure on which a subscription ends."""
    erase_not_before_day: int = Field(60, ge=1)
    """Day after the first failure, or after the end, before which no data is erased."""
    renewal_lead_hours: float = Field(24, ge=0)
    """How long before a period its invoice is drafted, in hours."""
    invoice_due_days: int = Field(14, ge=0)
    """Days to pay an invoice for which no method can be charged; one by card is due at once."""
    trial_days: int = Field(14, ge=1)
    """How long a plan can be tried, in days."""
    price_change_notice_days: int = Field(30, ge=0)
    """How long before the period for which it counts a new price is told, in days."""
    price_watch_seconds: float = Field(3600, gt=0)
    """Seconds between two looks at the catalog's price book for new prices."""
    credit_for_unused_time: bool = True
    """Whether a subscription that is ended at once gives the unused time back as credit."""

    failed_application: Failing = Failing.REFUND
    """What becomes of a paid order of which an Application failed for good (it was taken away after it had failed) before any of
    them stood: `refund` (all goes back to where it came from, and the subscription ends), `credit` (it becomes credit) or
    `finding` (a person decides). While it may be tried again nothing does."""
    usage_late_window_hours: float = Field(24, gt=0)
    """How late a measurement still joins its hour, in hours."""
    usage_adjustment_window_days: int = Field(35, ge=1)
    """How late a measurement still goes on the next invoice, in days; later ones are refused."""

    @model_validator(mode="after")
    def _days_in_order(self) -> "BillingSettings":
        if not self.grace_day < self.suspend_day < self.cancel_day <= self.erase_not_before_day:
            raise ValueError("grace_day, suspend_day, cancel_day and erase_not_before_day come in this order")
        if list(self.dunning_retry_days) != sorted(set(self.dunning_retry_days)):
            raise ValueError("dunning_retry_days rise")
        return self

    @field_validator("billing_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {value}") from error
        return value

    def books(self, actor: str) -> Books:
        """How the book is kept, in the name of `actor`."""
        return Books(
            self.sovereign, actor, ZoneInfo(self.billing_time_zone), timedelta(days=self.trial_days),
            timedelta(hours=self.renewal_lead_hours), self.windows.late,
        )  # fmt: skip

    @property
    def dunning(self) -> Dunning:
        return Dunning(
            self.dunning_retry_days, self.grace_day, self.suspend_day, self.cancel_day, self.erase_not_before_day
        )

    @property
    def windows(self) -> Windows:
        return Windows(
            timedelta(hours=self.usage_late_window_hours), timedelta(days=self.usage_adjustment_window_days)
        )  # fmt: skip

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
