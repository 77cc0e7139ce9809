"""Who may call what of continuum, and on whose slots."""

from catalyst_mesh import Scope, rows

_SERVICE = "catalyst.continuum.v1.ContinuumService"
_READ = "org-viewer org-developer org-admin sovereign-admin security-officer service:gateway service:provisioner"
# The slots that there are now are those of Sovereigns, which belong to no Organization: its members do not read them.
_READ_SOVEREIGNS = "sovereign-admin security-officer service:gateway service:provisioner"

ACCESS = {
    **rows(_SERVICE, GetContinuum=_READ_SOVEREIGNS, ListContinuums=_READ_SOVEREIGNS),
    **rows(
        _SERVICE,
        Scope.ABSENT,
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
        PostHealth=_READ,
    ),
    **rows(_SERVICE, ForceTakeover="sovereign-admin", VerifyWitness="sovereign-admin", AdmitCell="sovereign-admin"),
    **rows("google.longrunning.Operations", GetOperation="sovereign-admin", WaitOperation="sovereign-admin"),
}
