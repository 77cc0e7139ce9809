"""Which role may call what, and on whose Sovereign; the methods, which know the Sovereign, ask whose it is."""

from catalyst_mesh import PUBLIC, SIGNED_IN, Scope, rows

_READERS = (
    "org-viewer org-developer org-admin sovereign-admin security-officer billing-admin "
    "service:continuum service:billing service:gateway service:provisioner"
)
_PEOPLE = "org-viewer org-developer org-admin sovereign-admin security-officer billing-admin"
_LOGS = "org-developer org-admin sovereign-admin security-officer"
_ROOT = "catalyst.provisioner.v1"

ACCESS = {
    **rows(
        f"{_ROOT}.SovereignService",
        CreateSovereign="sovereign-admin",
        UpdateSovereign="sovereign-admin",
        DeleteSovereign="sovereign-admin",
    ),
    # The daemon of Environments looks for clusters in its own right, whomever it serves.
    **rows(f"{_ROOT}.SovereignService", Scope.ABSENT, GetSovereign=f"{_READERS} own:environment"),
    **rows(f"{_ROOT}.SovereignService", Scope.LEFT_OUT, ListSovereigns=f"{_READERS} own:environment"),
    **rows(f"{_ROOT}.WorkloadService", SyncWorkloads="own:environment"),
    **rows(
        f"{_ROOT}.PlanService",
        CreatePlan="sovereign-admin",
        PreviewChange="sovereign-admin",
        ApplyPlan="sovereign-admin",
    ),
    **rows(f"{_ROOT}.PlanService", Scope.ABSENT, GetPlan=_READERS, ListPlans=_READERS, DiffPlans=_READERS),
    **rows(
        f"{_ROOT}.RunService",
        PauseRun="sovereign-admin",
        ResumeRun="sovereign-admin",
        CancelRun="sovereign-admin",
        RetryStep="sovereign-admin",
        SkipStep="sovereign-admin",
    ),
    # Whom a gate takes stands in the gate, so everybody who may see the run may ask.
    **rows(f"{_ROOT}.RunService", Scope.ABSENT, ApproveGate=_PEOPLE, RejectGate=_PEOPLE),
    **rows(
        f"{_ROOT}.RunService",
        Scope.ABSENT,
        GetRun=_READERS,
        ListSteps=_READERS,
        GetStep=_READERS,
        ListEvents=_READERS,
        WatchEvents=_READERS,
        ListLogs=_LOGS,
        WatchLogs=_LOGS,
    ),
    **rows(f"{_ROOT}.RunService", Scope.LEFT_OUT, ListRuns=_READERS),
    **rows(
        f"{_ROOT}.InfrastructureService",
        Scope.ABSENT,
        ListLedger=_READERS,
        ListComponents=_READERS,
        GetTopology=_READERS,
        GetDriftReport=_READERS,
        WatchTopology=_READERS,
        WatchComponents=_READERS,
    ),
    **rows(f"{_ROOT}.InfrastructureService", DetectDrift="sovereign-admin"),
    **rows(
        f"{_ROOT}.CredentialService",
        CreateCredential="sovereign-admin",
        AddCredentialVersion="sovereign-admin",
        CheckCredential="sovereign-admin",
        GetCredential="sovereign-admin security-officer",
        ListCredentials="sovereign-admin security-officer",
        DeleteCredential="sovereign-admin",
    ),
    **rows(
        f"{_ROOT}.OfferService",
        ListProviders=SIGNED_IN,
        ListRegions=SIGNED_IN,
        ListOffers=SIGNED_IN,
        ListTopologies=SIGNED_IN,
    ),
    **rows(
        f"{_ROOT}.AccessService",
        IssueKubeconfig="sovereign-admin security-officer",
        ListGrants="sovereign-admin security-officer",
    ),
    # Whose grant it is stands in the grant, so everybody who may see the Sovereign may ask.
    **rows(f"{_ROOT}.AccessService", Scope.SELF, RevokeGrant=_PEOPLE),
    # The token in the request speaks for a server that enrols; afterwards the agent token that it got.
    **rows(f"{_ROOT}.AgentService", Scope.HOLDER, Enroll=PUBLIC),
    **rows(f"{_ROOT}.AgentService", Scope.SELF, Renew="agent", Connect="agent"),
    **rows("google.longrunning.Operations", Scope.ABSENT, GetOperation=_READERS, WaitOperation=_READERS),
}  # fmt: skip - reads as a table
