"""Who may call what of PDM, and on whose names; whose a name is, is asked where the name is known."""

from catalyst_mesh import SIGNED_IN, Scope, rows

_OWNER = "org-admin sovereign-admin service:provisioner"
_READ = "org-viewer org-developer org-admin sovereign-admin security-officer service:provisioner service:continuum"
_OPERATOR = "sovereign-admin"
_KEYS = "sovereign-admin security-officer"
_KEEP = "org-admin sovereign-admin"
_PROVE = "org-admin sovereign-admin service:provisioner"
_ZONES = "catalyst.pooldomain.v1.ZoneService"
# The provisioner makes the zone of a Sovereign's own domain, writes its records and has it delegated.
_SERVE = f"{_KEEP} service:provisioner"
_KEEPER = "org-admin sovereign-admin security-officer"
_REGISTRARS = "catalyst.pooldomain.v1.RegistrarService"
_CUTS = "catalyst.pooldomain.v1.DelegationService"
_NAMES = "catalyst.pooldomain.v1.AllocationService"

ACCESS = {
    **rows(
        "catalyst.pooldomain.v1.PoolService",
        CreatePool=_OPERATOR,
        GetPool=_READ,
        ListPools=_READ,
        UpdatePool=_OPERATOR,
        DeletePool=_OPERATOR,
        ListReservedNames=SIGNED_IN,
    ),
    **rows(
        _ZONES,
        Scope.ABSENT,
        GetZone=_READ,
        GetDnssec=_READ,
        UpdateZone=_KEEP,
        DeleteZone=_SERVE,
        ImportZone=_KEEP,
        GetZoneImport=_READ,
        ListZoneImports=_READ,
        PlanZone=_SERVE,
        GetPlan=_READ,
        ListPlans=_READ,
        ApplyPlan=_SERVE,
        RevertPlan=_KEEP,
        ListRecordSets=_READ,
        ExportZone=_READ,
        DiffZone=_READ,
        CheckPropagation=_READ,
        PresentChallenge=_PROVE,
        CleanUpChallenge=_PROVE,
    ),
    **rows(_ZONES, RepairDrift=_OPERATOR, AcceptDrift=_OPERATOR, RollKey=_KEYS, DisableDnssec=_KEYS),
    **rows("google.longrunning.Operations", Scope.ABSENT, GetOperation=_READ, WaitOperation=_READ),
    **rows("google.longrunning.Operations", CancelOperation=_KEYS),
    **rows(_ZONES, Scope.DENIED, CreateZone=_SERVE),
    **rows(_ZONES, Scope.LEFT_OUT, ListZones=_READ, ListDrifts=_READ),
    **rows(
        _CUTS,
        Scope.ABSENT,
        GetDelegation=_READ,
        PlanDelegation=_SERVE,
        ApplyDelegation=_SERVE,
        RollbackDelegation=_KEEP,
        CloseRollbackWindow=_KEEP,
    ),
    **rows(
        "catalyst.pooldomain.v1.BackendService",
        CreateBackend=_OPERATOR,
        GetBackend=_OPERATOR,
        ListBackends=_OPERATOR,
        UpdateBackend=_OPERATOR,
        DeleteBackend=_OPERATOR,
        ProbeBackend=_OPERATOR,
    ),
    **rows(
        "catalyst.pooldomain.v1.NameServerSetService",
        CreateNameServerSet=_OPERATOR,
        GetNameServerSet=_READ,
        ListNameServerSets=_READ,
        UpdateNameServerSet=_OPERATOR,
        DeleteNameServerSet=_OPERATOR,
    ),
    **rows(_REGISTRARS, ListRegistrars=SIGNED_IN, GetRegistrar=SIGNED_IN),
    **rows(_REGISTRARS, Scope.DENIED, CreateRegistrarAccount=_KEEPER),
    **rows(_REGISTRARS, Scope.LEFT_OUT, ListRegistrarAccounts=_KEEPER),
    **rows(
        _REGISTRARS,
        Scope.ABSENT,
        GetRegistrarAccount=_KEEPER,
        UpdateRegistrarAccount=_KEEPER,
        DeleteRegistrarAccount=_KEEPER,
        ValidateRegistrarAccess=_KEEPER,
        ReadDelegation=_KEEPER,
    ),
    **rows(_NAMES, CheckName=SIGNED_IN, ForceReleaseAllocation=_OPERATOR),
    **rows(_NAMES, Scope.DENIED, ReserveAllocation=_OWNER),
    **rows(_NAMES, Scope.HOLDER, RenewAllocation=_OWNER, CommitAllocation=_OWNER),
    **rows(
        _NAMES,
        Scope.ABSENT,
        UpdateAllocation=f"{_OWNER} service:continuum",
        ReconcileAllocation=_OWNER,
        ReleaseAllocation=_OWNER,
        TransferAllocation=_OWNER,
        AcceptAllocationTransfer=_OWNER,
        GetAllocation=_READ,
        ListAllocationHistory=_READ,
        WaitAllocation=_READ,
    ),
    **rows(_NAMES, Scope.LEFT_OUT, ListAllocations=_READ, WatchAllocations=_READ),
}  # fmt: skip - one table
