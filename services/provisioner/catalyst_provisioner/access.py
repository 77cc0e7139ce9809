"""Which role may call what; on whose Sovereign is asked by the methods."""

from catalyst_mesh import PUBLIC, SIGNED_IN, rows

_READERS = (
    "org-viewer org-developer org-admin sovereign-admin security-officer billing-admin "
    "service:continuum service:billing service:gateway service:provisioner"
)
_LOGS = "org-developer org-admin sovereign-admin security-officer"
_ROOT = "catalyst.provisioner.v1"

ACCESS = {
    **rows(
        f"{_ROOT}.SovereignService",
        CreateSovereign="sovereign-admin",
        GetSovereign=_READERS,
        ListSovereigns=_READERS,
        UpdateSovereign="sovereign-admin",
        DeleteSovereign="sovereign-admin",
    ),
    **rows(
        f"{_ROOT}.PlanService",
        CreatePlan="sovereign-admin",
        GetPlan=_READERS,
        ListPlans=_READERS,
        ApplyPlan="sovereign-admin",
    ),
    **rows(
        f"{_ROOT}.RunService",
        GetRun=_READERS,
        ListRuns=_READERS,
        ListSteps=_READERS,
        GetStep=_READERS,
        PauseRun="sovereign-admin",
        ResumeRun="sovereign-admin",
        CancelRun="sovereign-admin",
        RetryStep="sovereign-admin",
        SkipStep="sovereign-admin",
        ListEvents=_READERS,
        WatchEvents=_READERS,
        ListLogs=_LOGS,
    ),
    **rows(f"{_ROOT}.InfrastructureService", ListLedger=_READERS, ListComponents=_READERS),
    **rows(
        f"{_ROOT}.OfferService",
        ListProviders=SIGNED_IN,
        ListRegions=SIGNED_IN,
        ListOffers=SIGNED_IN,
        ListTopologies=SIGNED_IN,
    ),
    # The token in the request speaks for a server that enrols; afterwards the agent token that it got.
    **rows(f"{_ROOT}.AgentService", Enroll=PUBLIC, Renew="agent", Connect="agent"),
    **rows("google.longrunning.Operations", GetOperation=_READERS, WaitOperation=_READERS),
}  # fmt: skip - reads as a table
