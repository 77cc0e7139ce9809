"""Who may call what of continuum."""

from catalyst_mesh import rows

_READ = "org-viewer org-developer org-admin sovereign-admin security-officer service:gateway service:provisioner"

ACCESS = rows(
    "catalyst.continuum.v1.ContinuumService",
    ListContinuums=_READ,
    GetContinuum=_READ,
    CreateContinuum="org-admin sovereign-admin",
    UpdateContinuum="org-admin sovereign-admin",
    DeleteContinuum="org-admin sovereign-admin",
    WatchContinuum=_READ,
    PlanRun="org-developer org-admin sovereign-admin",
    StartRun="org-admin sovereign-admin",
    GetRun=_READ,
    ListRuns=_READ,
    WatchRun=_READ,
    ApproveRun="org-admin security-officer sovereign-admin",
    AbortRun="org-admin sovereign-admin",
    Suspend="org-admin sovereign-admin",
    Resume="org-admin sovereign-admin",
    AcknowledgeFailover="org-admin sovereign-admin",
    ForceTakeover="sovereign-admin",
    PostHealth=_READ,
    VerifyWitness="sovereign-admin",
    AdmitCell="sovereign-admin",
)
