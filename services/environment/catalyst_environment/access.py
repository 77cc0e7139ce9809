"""Who may call what of this daemon, and on whose Organization; each method, which knows it, asks whether it is the caller's."""

from collections.abc import Mapping

from catalyst_mesh import SIGNED_IN, Row, Scope, rows

_PACKAGE = "catalyst.environment.v1"
# The Sovereign's own people see that there is an Organization, and not what is inside it (platform.md, section 2).
_MEMBERS = "org-viewer org-developer org-admin"
_KEEPERS = "org-admin sovereign-admin"
_DAEMONS = " ".join(
    f"own:{name}"
    for name in ("billing", "catalog", "continuum", "environment", "gateway", "pool_domain_manager", "pdm",
                 "pooldomain", "provisioner")
)  # fmt: skip

ACCESS: Mapping[str, Row] = {
    **rows(
        f"{_PACKAGE}.OrganizationService",
        CreateOrganization=SIGNED_IN,
        CheckSlug=SIGNED_IN,
        SuspendOrganization="sovereign-admin billing-admin",
        ResumeOrganization="sovereign-admin billing-admin",
    ),
    **rows(
        f"{_PACKAGE}.OrganizationService",
        Scope.DENIED,
        GetOrganization=f"{_MEMBERS} billing-admin security-officer sovereign-admin",
        UpdateOrganization=_KEEPERS,
        # Of the admins the owner alone: the method knows who that is.
        DeleteOrganization=_KEEPERS,
        UndeleteOrganization=_KEEPERS,
    ),
    # Whoever belongs nowhere yet is told so by an empty list; members hear of their own.
    **rows(
        f"{_PACKAGE}.OrganizationService", Scope.LEFT_OUT, ListOrganizations=f"{SIGNED_IN} {_MEMBERS} sovereign-admin"
    ),
    **rows(f"{_PACKAGE}.OperationService", Scope.ABSENT, RetryOperation=_KEEPERS, CancelOperation="org-admin"),
    **rows(
        "google.longrunning.Operations",
        Scope.ABSENT,
        GetOperation=f"{_MEMBERS} sovereign-admin",
        WaitOperation=f"{_MEMBERS} sovereign-admin",
    ),
    **rows(
        f"{_PACKAGE}.MemberService",
        Scope.DENIED,
        GetMember=_MEMBERS,
        ListMembers=_MEMBERS,
        UpdateMember="org-admin",
        DeleteMember="org-admin",
        LeaveOrganization=_MEMBERS,
        TransferOwnership="org-admin",
        CreateInvitation="org-admin",
        GetInvitation="org-admin",
        ListInvitations="org-admin",
        ResendInvitation="org-admin",
        RevokeInvitation="org-admin",
    ),
    **rows(f"{_PACKAGE}.MemberService", AcceptInvitation=SIGNED_IN, LookUpMemberships=_DAEMONS),
    **rows(
        f"{_PACKAGE}.ApplicationService",
        Scope.DENIED,
        GetApplication=_MEMBERS,
        ListApplications=_MEMBERS,
        PreviewUninstall=_MEMBERS,
        **dict.fromkeys(
            (
                "CreateApplication",
                "UpdateApplication",
                "UpgradeApplication",
                "RollbackApplication",
                "PauseApplication",
                "ResumeApplication",
                "DeleteApplication",
            ),
            "org-developer org-admin",
        ),
    ),
    **rows(
        f"{_PACKAGE}.PolicyService",
        Scope.DENIED,
        GetPolicy=_MEMBERS,
        UpdatePolicy="org-admin",
        GetPromotion=_MEMBERS,
        ListPromotions=_MEMBERS,
        CreatePromotion="org-developer org-admin",
        ApprovePromotion="org-developer org-admin",
        CancelPromotion="org-developer org-admin",
        OverridePromotion="org-admin",
    ),
    **rows(
        f"{_PACKAGE}.WebhookService",
        Scope.DENIED,
        **dict.fromkeys(
            (
                "CreateWebhook",
                "GetWebhook",
                "ListWebhooks",
                "UpdateWebhook",
                "DeleteWebhook",
                "EnableWebhook",
                "DisableWebhook",
                "RotateWebhookSecret",
                "TestWebhook",
                "ReplayWebhook",
                "GetWebhookDelivery",
                "ListWebhookDeliveries",
            ),
            "org-admin",
        ),
    ),
    **rows(f"{_PACKAGE}.ApplicationService", ReportApplication="own:provisioner"),
    **rows(
        f"{_PACKAGE}.EnvironmentService",
        Scope.DENIED,
        GetEnvironment=_MEMBERS,
        ListEnvironments=_MEMBERS,
        CreateEnvironment="org-admin",
        DeleteEnvironment="org-admin",
    ),
}
