"""Who may call what of the catalogue, and whose private Blueprints exist for them."""

from catalyst_mesh import PUBLIC, Scope, rows

_SERVICES = (
    "service:provisioner service:billing service:gateway service:continuum service:pooldomain service:environment"
)
# Daemons are named besides: they build plans and wizards, and see what is unlisted or broken.
_EVERYBODY = f"{PUBLIC} {_SERVICES}"
# What stands in an Environment is told in that daemon's own right, whomever it serves.
_PLANNERS = f"org-developer org-admin sovereign-admin {_SERVICES.replace('service:environment', 'own:environment')}"
_DEVELOPERS = f"org-developer org-admin sovereign-admin {_SERVICES}"
_OWNERS = f"org-admin sovereign-admin {_SERVICES}"

ACCESS = {
    **rows(
        "catalyst.catalog.v1.CatalogService",
        Scope.DENIED,
        ListBlueprints=_EVERYBODY,
        GetBlueprint=_EVERYBODY,
        ListVersions=_EVERYBODY,
        GetVersion=_EVERYBODY,
        CompareVersions=_EVERYBODY,
        Closure=_DEVELOPERS,
        Resolve=_DEVELOPERS,
        ReadArtifact=_DEVELOPERS,
        ValidateConfig=_DEVELOPERS,
        LintBlueprint=_DEVELOPERS,
        PlanInstall=_PLANNERS,
        AdviseUpgrades=_PLANNERS,
    ),
    **rows(
        "catalyst.catalog.v1.CatalogService",
        Scope.LEFT_OUT,
        SearchCards=_EVERYBODY,
        WatchCatalog=f"org-viewer {_DEVELOPERS}",
    ),
    **rows("catalyst.catalog.v1.CatalogService", SelectComponents=_DEVELOPERS),
    **rows(
        "catalyst.catalog.v1.StorefrontService",
        **dict.fromkeys(
            (
                "ListApps",
                "GetApp",
                "SearchApps",
                "ListPlans",
                "GetPlan",
                "ListAddOns",
                "GetAddOn",
                "ListBundles",
                "GetBundle",
                "ListIndustries",
                "GetIndustry",
                "GetPriceBook",
            ),
            PUBLIC,
        ),
        **{
            f"{verb}{kind}": "sovereign-admin"
            for verb in ("Create", "Update", "Delete")
            for kind in ("App", "Plan", "AddOn", "Bundle", "Industry")
        },
        PublishPriceBook="sovereign-admin",
        ImportSeed="sovereign-admin",
        CheckCapacity=f"org-viewer billing-admin {_DEVELOPERS}",
    ),
    **rows(
        "catalyst.catalog.v1.SourceService",
        Scope.ABSENT,
        CreateSource=_OWNERS,
        GetSource=_OWNERS,
        UpdateSource=_OWNERS,
        DeleteSource=_OWNERS,
        SyncSource=_OWNERS,
        ListIssues=_OWNERS,
        RetryIssue=_OWNERS,
    ),
    **rows("catalyst.catalog.v1.SourceService", Scope.LEFT_OUT, ListSources=_OWNERS),
    **rows("google.longrunning.Operations", Scope.ABSENT, GetOperation=_OWNERS, WaitOperation=_OWNERS),
    **rows(
        "catalyst.catalog.v1.ModerationService",
        Scope.DENIED,
        YankVersion="org-admin sovereign-admin",
        UnyankVersion="org-admin sovereign-admin",
        DeprecateVersion="org-admin sovereign-admin",
        QuarantineVersion="security-officer",
        ReleaseVersion="security-officer",
    ),
}  # fmt: skip - reads as a table
