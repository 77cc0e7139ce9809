"""Who may call what of continuum, and on whose slots."""

from catalyst_mesh import Scope, rows

_SERVICE = "catalyst.continuum.v1.ContinuumService"
_PEER = "catalyst.continuum.v1.ContinuumPeerService"
_AGENT = "service:continuum"
_READ = "org-viewer org-developer org-admin sovereign-admin security-officer service:gateway service:provisioner"
_WRITE = "org-admin sovereign-admin"

ACCESS = {
    **rows(_SERVICE, Scope.LEFT_OUT, ListContinuums=_READ),
    **rows(
        _SERVICE,
        Scope.ABSENT,
        GetContinuum=_READ,
        WatchContinuum=_READ,
        UpdateContinuum=_WRITE,
        DeleteContinuum=_WRITE,
        Suspend=_WRITE,
        Resume=_WRITE,
        AcknowledgeFailover=_WRITE,
        PlanRun="org-developer org-admin sovereign-admin",
        StartRun=_WRITE,
        GetRun=_READ,
        ListRuns=_READ,
        WatchRun=_READ,
        ApproveRun="org-admin security-officer sovereign-admin",
        AbortRun=_WRITE,
        PostHealth=_READ,
    ),
    **rows(_SERVICE, Scope.DENIED, CreateContinuum=_WRITE),
    **rows(_SERVICE, ForceTakeover="sovereign-admin", VerifyWitness="sovereign-admin", AdmitCell="sovereign-admin"),
    # Agents only; what they tell explains, and what they promise binds themselves.
    **rows(_PEER, Hello=_AGENT, Report=_AGENT, HoldOff=_AGENT, RelaySwap=_AGENT, DeliverToken=_AGENT),
    **rows("google.longrunning.Operations", GetOperation="sovereign-admin", WaitOperation="sovereign-admin"),
}
