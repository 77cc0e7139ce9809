"""Who may call what of billing, and on whose account; each method, which knows the account, asks whether it is the caller's."""

from collections.abc import Mapping

from catalyst_mesh import PUBLIC, SIGNED_IN, Row, Scope, rows

_PACKAGE = "catalyst.billing.v1"
_CUSTOMER = "org-admin billing-admin"
_STAFF = "billing-admin"
_ISSUERS = "sovereign-admin billing-admin"
_DAEMONS = " ".join(
    f"own:{name}"
    for name in ("catalog", "continuum", "environment", "gateway", "pool_domain_manager", "pdm", "provisioner")
)

ACCESS: Mapping[str, Row] = {
    **rows(
        f"{_PACKAGE}.AccountService",
        Scope.DENIED,
        GetAccount=_CUSTOMER,
        UpdateAccount=_CUSTOMER,
        GetBalance=_CUSTOMER,
        ListCreditGrants=_CUSTOMER,
        OpenPortal=_CUSTOMER,
    ),
    **rows(
        f"{_PACKAGE}.AccountService",
        EnsureAccount=_DAEMONS,
        ListAccounts=_STAFF,
        FreezeAccount=_STAFF,
        UnfreezeAccount=_STAFF,
        GrantGoodwill=_STAFF,
        ApproveGoodwill=_STAFF,
        ListGoodwills=_STAFF,
        ExportAccount=_STAFF,
        ImportAccount=_STAFF,
    ),
    **rows(f"{_PACKAGE}.QuoteService", Scope.DENIED, CreateQuote=_CUSTOMER, GetQuote=_CUSTOMER),
    **rows(
        f"{_PACKAGE}.OrderService",
        Scope.DENIED,
        CreateOrder=_CUSTOMER,
        CreateTopUp=_CUSTOMER,
        # Whether an order pays for a Sovereign is the provisioner's own question, whoever applies the plan.
        GetOrder=f"{_CUSTOMER} own:provisioner own:environment",
        ListOrders=_CUSTOMER,
        WatchOrder=_CUSTOMER,
        CancelOrder=_CUSTOMER,
    ),
    **rows(f"{_PACKAGE}.OrderService", RefundOrder=_STAFF),
    **rows(f"{_PACKAGE}.VoucherService", Scope.DENIED, RedeemVoucher=_CUSTOMER),
    **rows(
        f"{_PACKAGE}.VoucherService",
        PreviewVoucher=PUBLIC,
        CreateVoucher=_ISSUERS,
        GetVoucher=_ISSUERS,
        ListVouchers=_ISSUERS,
        UpdateVoucher=_ISSUERS,
        ActivateVoucher=_ISSUERS,
        PauseVoucher=_ISSUERS,
        RevokeVoucher=_ISSUERS,
        ListVoucherUses=_ISSUERS,
        ListVoucherRevisions=_ISSUERS,
        CreateCampaign=_ISSUERS,
        GetCampaign=_ISSUERS,
        ListCampaigns=_ISSUERS,
        UpdateCampaign=_ISSUERS,
    ),
    **rows(
        f"{_PACKAGE}.LedgerService",
        ListLedgerAccounts=_STAFF,
        GetLedgerTransaction=_STAFF,
        ListLedgerTransactions=_STAFF,
        ProveLedger=_ISSUERS,
        RecordPayout=_STAFF,
        ListFindings=_STAFF,
        GetFinding=_STAFF,
    ),
    **rows(
        f"{_PACKAGE}.ProviderService",
        GetProvider="sovereign-admin",
        ListProviders="sovereign-admin",
        UpdateProvider="sovereign-admin",
        # The signature speaks.
        ReceiveWebhook=PUBLIC,
    ),
    **rows("google.longrunning.Operations", GetOperation=_ISSUERS, WaitOperation=_ISSUERS),
    **rows(
        f"{_PACKAGE}.SubscriptionService",
        Scope.DENIED,
        GetSubscription=_CUSTOMER,
        ListSubscriptions=_CUSTOMER,
        ChangeSubscription=_CUSTOMER,
        CancelSubscription=_CUSTOMER,
        ResumeSubscription=_CUSTOMER,
    ),
    **rows(f"{_PACKAGE}.SubscriptionService", GetRevenue=_ISSUERS),
    **rows(
        f"{_PACKAGE}.InvoiceService",
        Scope.DENIED,
        GetInvoice=_CUSTOMER,
        ListInvoices=_CUSTOMER,
        RenderInvoice=_CUSTOMER,
        PayInvoice=_CUSTOMER,
    ),
    **rows(f"{_PACKAGE}.InvoiceService", VoidInvoice=_STAFF),
    **rows(
        f"{_PACKAGE}.MeteringService",
        Scope.DENIED,
        QueryUsage=f"{_CUSTOMER} org-developer",
        GetEntitlement=f"{_CUSTOMER} org-developer",
        UpdateEntitlement=_CUSTOMER,
    ),
    **rows(
        f"{_PACKAGE}.MeteringService",
        RecordUsage=f"{_DAEMONS} sovereign-admin",
        CreateMeter="sovereign-admin",
        GetMeter=SIGNED_IN,
        ListMeters=SIGNED_IN,
        UpdateMeter="sovereign-admin",
    ),
    **rows(
        f"{_PACKAGE}.FranchiseService",
        CreateAgreement=_STAFF,
        GetAgreement=_ISSUERS,
        ListAgreements=_ISSUERS,
        UpdateAgreement=_STAFF,
        IssueStatement=_STAFF,
        GetStatement=_ISSUERS,
        ListStatements=_ISSUERS,
    ),
}
