"""Who may call what of billing. Whose account it is about is asked by each method, which knows the account."""

from collections.abc import Mapping

from catalyst_mesh import PUBLIC, rows

_PACKAGE = "catalyst.billing.v1"
_CUSTOMER = "org-admin billing-admin"
_STAFF = "billing-admin"
_ISSUERS = "sovereign-admin billing-admin"
_DAEMONS = " ".join(
    f"service:{name}"
    for name in ("catalog", "continuum", "environment", "gateway", "pool_domain_manager", "pdm", "provisioner")
)

ACCESS: Mapping[str, frozenset[str]] = {
    **rows(
        f"{_PACKAGE}.AccountService",
        EnsureAccount=_DAEMONS,
        GetAccount=_CUSTOMER,
        ListAccounts=_STAFF,
        UpdateAccount=_CUSTOMER,
        GetBalance=_CUSTOMER,
        ListCreditGrants=_CUSTOMER,
        FreezeAccount=_STAFF,
        UnfreezeAccount=_STAFF,
        GrantGoodwill=_STAFF,
        ApproveGoodwill=_STAFF,
        ListGoodwills=_STAFF,
        OpenPortal=_CUSTOMER,
        ExportAccount=_STAFF,
        ImportAccount=_STAFF,
    ),
    **rows(f"{_PACKAGE}.QuoteService", CreateQuote=_CUSTOMER, GetQuote=_CUSTOMER),
    **rows(
        f"{_PACKAGE}.OrderService",
        CreateOrder=_CUSTOMER,
        CreateTopUp=_CUSTOMER,
        GetOrder=f"{_CUSTOMER} service:provisioner service:environment",
        ListOrders=_CUSTOMER,
        WatchOrder=_CUSTOMER,
        CancelOrder=_CUSTOMER,
        RefundOrder=_STAFF,
    ),
    **rows(
        f"{_PACKAGE}.VoucherService",
        PreviewVoucher=PUBLIC,
        RedeemVoucher=_CUSTOMER,
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
        ListFindings=_STAFF,
        GetFinding=_STAFF,
    ),
    **rows(
        f"{_PACKAGE}.SubscriptionService",
        GetSubscription=_CUSTOMER,
        ListSubscriptions=_CUSTOMER,
        ChangeSubscription=_CUSTOMER,
        CancelSubscription=_CUSTOMER,
        ResumeSubscription=_CUSTOMER,
        GetRevenue=_ISSUERS,
    ),
}
