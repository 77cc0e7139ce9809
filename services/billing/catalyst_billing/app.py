"""The composition root of billing."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from catalyst.billing.v1 import service_pb2_grpc as grpc_services
from catalyst.catalog.v1.service_pb2_grpc import StorefrontServiceStub
from catalyst_mesh import (
    Bus,
    ChassisMetrics,
    Clock,
    Daemon,
    Database,
    Leases,
    OperationService,
    PluginHost,
    Sealer,
    Service,
    Work,
    connect,
    main,
    migrate,
)
from catalyst_mesh.plugins import NoSecrets, SecretFiles, plugin_context
from catalyst_mesh.streams import Curfew
from catalyst_sdk.context import Secrets
from google.longrunning import operations_pb2_grpc
from prometheus_client import CollectorRegistry

from .access import ACCESS
from .catalog import PriceBooks
from .customers import Customers
from .departures import departed
from .domain.money import Money
from .domain.renewals import House
from .events import EMITTED, handled
from .keys import Keys
from .metrics import BillingMetrics
from .opening import arrived
from .proofs import Proofs
from .providers import KIND, Providers
from .recording import Recording
from .rpc.accounts import AccountService
from .rpc.franchise import FranchiseService
from .rpc.invoices import InvoiceService
from .rpc.ledger import LedgerService
from .rpc.limits import PreviewLimit
from .rpc.metering import MeteringService
from .rpc.orders import OrderService
from .rpc.providers import ProviderService
from .rpc.quotes import Desk, QuoteService
from .rpc.subscriptions import SubscriptionService, Till
from .rpc.transfers import Transfers
from .rpc.vouchers import VoucherService
from .secrets import PluginSecrets
from .settings import BillingSettings
from .signing import Seal, Signer
from .store import Store, metadata
from .workers.applying import Applying, Pace
from .workers.charges import Charges
from .workers.checkouts import Checkouts
from .workers.earnings import Earnings
from .workers.prepaid import Prepaid
from .workers.prices import Prices
from .workers.reconciliation import Reconciliation
from .workers.refunds import Refunds
from .workers.renewals import Renewals
from .workers.rounds import Rounds, Shift
from .workers.sweeper import Sweeper
from .workers.webhooks import Webhooks

ACTOR = "billing"
"""Who books what no caller asked for."""


async def compose(settings: BillingSettings, clock: Clock | None = None) -> Daemon:
    """Wire billing. `clock` is for tests; None: the moment comes from the database."""
    Money(0, settings.currency)  # an unknown currency stops the start
    db = await Database.open(settings.database_url, clock=clock, password_file=settings.database_password_file)
    await migrate(db, "catalyst_billing", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    sealer = Sealer.from_file(settings.keyring)
    work = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer)
    files = SecretFiles(settings.secrets_folder) if settings.secrets_folder else NoSecrets()
    host = plugins(settings, metrics, clock, PluginSecrets(work, sealer, files))
    channel = connect(settings.catalog_target, token=settings.token_for("catalog"), tls=settings.certificates())
    providers, proofs, curfew = (
        Providers(host, work, settings.plugins),
        Proofs(work, BillingMetrics(metrics.registry)),
        Curfew(),
    )
    prices, house = PriceBooks(StorefrontServiceStub(channel)), house_of(settings)
    recording = Recording(books=house.books, windows=settings.windows, currency=settings.currency)
    keys = Keys(work, sealer, settings.data_folder)
    signing = Signing(
        Signer(await keys.of("quote")), Signer(await keys.of("statement")), Seal(await keys.of("export"))
    )  # fmt: skip
    return Daemon(
        "billing",
        settings,
        db,
        metadata,
        work,
        services=services(settings, work, providers, prices, house, proofs, sealer, curfew, recording, signing),
        access=ACCESS,
        metrics=metrics,
        plugins=host,
        bus=Bus(settings.nats_url, "billing", settings.nats_token.get_secret_value()),
        handled=(
            *handled(house.books, providers.step_of, settings.failed_application),
            arrived(settings.currency),
            departed(house),
            recording.handled,
        ),
        workers=[
            curfew,
            Shift(
                *workers(settings, work, providers, house, proofs),
                *going_on(settings, work, providers, prices, house),
                leases=Leases(db, metadata, metrics=metrics),
            ),
        ],
        closing=[lambda: channel.close(None)],
    )


@dataclass(frozen=True, slots=True)
class Signing:
    """By what each thing is signed."""

    quotes: Signer
    statements: Signer
    exports: Seal


def plugins(settings: BillingSettings, metrics: ChassisMetrics, clock: Clock | None, secrets: Secrets) -> PluginHost:
    """The payment providers that are installed."""
    host, context = PluginHost(kinds=[KIND], metrics=metrics), plugin_context(settings.data_folder, secrets)
    host.load(
        context if clock is None else lambda manifest, config: replace(context(manifest, config), clock=clock),
        settings.plugins,
    )
    return host


def services(
    settings: BillingSettings, work: Work[Store], providers: Providers, prices: PriceBooks, house: House, proofs: Proofs,
    sealer: Sealer, curfew: Curfew, recording: Recording, signing: Signing,
) -> list[Service]:  # fmt: skip
    """What is served."""
    books = house.books
    sign, currency = signing.quotes, settings.currency
    desk = Desk(currency, tuple(tax.rule() for tax in settings.tax_rules), settings.quote_ttl, sign)
    package = "catalyst.billing.v1"
    ledger = LedgerService(work, proofs, books=books)
    till = Till(work, providers, house, ttl=settings.order_ttl, currency=currency)
    return [
        Service(
            AccountService(
                work, currency, books=books, limit=settings.goodwill_limit, customers=Customers(work, providers),
                transfers=Transfers(work, books, signing.exports, settings.trusted_sovereigns, currency),
            ), grpc_services.add_AccountServiceServicer_to_server,
            f"{package}.AccountService",
        ),
        Service(
            QuoteService(work, prices, providers, desk), grpc_services.add_QuoteServiceServicer_to_server,
            f"{package}.QuoteService",
        ),
        Service(
            OrderService(work, providers, books=books, sign=sign, ttl=settings.order_ttl, currency=currency,
                         curfew=curfew, prices=prices),
            grpc_services.add_OrderServiceServicer_to_server, f"{package}.OrderService",
        ),
        Service(
            VoucherService(work, books=books, limit=PreviewLimit(work), currency=currency),
            grpc_services.add_VoucherServiceServicer_to_server, f"{package}.VoucherService",
        ),
        Service(
            ledger, grpc_services.add_LedgerServiceServicer_to_server, f"{package}.LedgerService"
        ),
        Service(
            ProviderService(work, providers, sealer), grpc_services.add_ProviderServiceServicer_to_server,
            f"{package}.ProviderService",
        ),
        Service(
            OperationService(ledger.operation), operations_pb2_grpc.add_OperationsServicer_to_server,
            "google.longrunning.Operations",
        ),
        Service(
            SubscriptionService(till, prices, sign), grpc_services.add_SubscriptionServiceServicer_to_server,
            f"{package}.SubscriptionService",
        ),
        Service(
            MeteringService(work, recording, books=books, currency=currency),
            grpc_services.add_MeteringServiceServicer_to_server, f"{package}.MeteringService",
        ),
        Service(
            FranchiseService(work, books=books, proofs=proofs, sign=signing.statements),
            grpc_services.add_FranchiseServiceServicer_to_server, f"{package}.FranchiseService",
        ),
        Service(InvoiceService(till), grpc_services.add_InvoiceServiceServicer_to_server, f"{package}.InvoiceService"),
    ]  # fmt: skip


def workers(
    settings: BillingSettings, work: Work[Store], providers: Providers, house: House, proofs: Proofs
) -> list[Rounds]:
    """What goes on beside the calls for orders, credit and the book."""
    books = house.books
    pause = settings.worker_pause_seconds
    pace = Pace(settings.poll_open, settings.poll_later, settings.late_window)
    applying, customers = Applying(work, books, pace), Customers(work, providers)
    webhooks = Webhooks(work, providers, applying, books)
    reconciliation = Reconciliation(work, providers, webhooks)
    rounds = partial(Rounds, bell=work.bell)
    return [
        rounds(
            "checkouts",
            Checkouts(work, providers, applying, customers).round,
            "order",
            "checkout",
            "provider",
            pause=pause,
        ),
        rounds("webhooks", webhooks.round, "provider_event", "provider", pause=pause),
        rounds("reconciliation", reconciliation.round, pause=settings.reconcile_seconds),
        rounds("refunds", Refunds(work, providers).round, "refund", "provider", pause=pause),
        rounds("sweeper", Sweeper(work, books).round, "order", "credit_grant", pause=pause),
        rounds("proof", proofs.prove, pause=settings.proof_seconds),
    ]


def going_on(
    settings: BillingSettings, work: Work[Store], providers: Providers, prices: PriceBooks, house: House
) -> list[Rounds]:
    """What goes on beside the calls from period to period."""
    pause, notice = settings.worker_pause_seconds, timedelta(days=settings.price_change_notice_days)
    rounds = partial(Rounds, bell=work.bell)
    changes = ("subscription", "period", "invoice", "charge", "payment_method")
    return [
        rounds("renewals", Renewals(work, providers, house).round, *changes, pause=pause),
        rounds("charges", Charges(work, providers, house).round, "charge", "provider", pause=pause),
        rounds("earnings", Earnings(work, house.books).round, "period", pause=pause),
        rounds("prepaid", Prepaid(work, house).round, "entitlement", pause=pause),
        rounds("prices", Prices(work, prices, house.books, notice).round, pause=settings.price_watch_seconds),
    ]


def house_of(settings: BillingSettings) -> House:
    """The rules under which subscriptions run."""
    return House(
        settings.books(ACTOR), tuple(tax.rule() for tax in settings.tax_rules), settings.dunning,
        timedelta(days=settings.invoice_due_days), settings.credit_for_unused_time,
    )  # fmt: skip


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("billing", BillingSettings.load(), compose)
