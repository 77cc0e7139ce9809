"""Who may call what of PDM; whose name it is, is asked where the name is known."""

from catalyst_mesh import SIGNED_IN, rows

_OWNER = "org-admin sovereign-admin service:provisioner"
_READ = "org-viewer org-developer org-admin sovereign-admin security-officer service:provisioner service:continuum"
_OPERATOR = "sovereign-admin"

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
    **rows("catalyst.pooldomain.v1.ZoneService", GetZone=_READ, ListZones=_READ, GetDnssec=_READ),
    **rows(
        "catalyst.pooldomain.v1.AllocationService",
        CheckName=SIGNED_IN,
        ReserveAllocation=_OWNER,
        RenewAllocation=_OWNER,
        CommitAllocation=_OWNER,
        UpdateAllocation=f"{_OWNER} service:continuum",
        ReconcileAllocation=_OWNER,
        ReleaseAllocation=_OWNER,
        ForceReleaseAllocation=_OPERATOR,
        TransferAllocation=_OWNER,
        AcceptAllocationTransfer=_OWNER,
        GetAllocation=_READ,
        ListAllocations=_READ,
        ListAllocationHistory=_READ,
        WaitAllocation=_READ,
        WatchAllocations=_READ,
    ),
}  # fmt: skip - one table
