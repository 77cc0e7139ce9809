"""All pages, and the places to begin at. A new module of pages is known by its line here."""

from . import (
    admin,
    applications,
    auditing,
    changing,
    continuity,
    docs,
    domains,
    environments,
    home,
    installing,
    marketplace,
    members,
    money,
    offering,
    organizations,
    plans,
    runs,
    selling,
    shop,
    signing,
    sovereigns,
    studio,
    timeline,
    webhooks,
    wizard,
    writing,
)
from .places import Place
from .visits import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *signing.PAGES,
    *sovereigns.PAGES,
    *changing.PAGES,
    *plans.PAGES,
    *runs.PAGES,
    *wizard.PAGES,
    *organizations.PAGES,
    *members.PAGES,
    *webhooks.PAGES,
    *environments.PAGES,
    *applications.PAGES,
    *marketplace.PAGES,
    *installing.PAGES,
    *studio.PAGES,
    *writing.PAGES,
    *shop.PAGES,
    *domains.PAGES,
    *continuity.PAGES,
    *money.PAGES,
    *admin.PAGES,
    *offering.PAGES,
    *selling.PAGES,
    *auditing.PAGES,
    *timeline.PAGES,
    *docs.PAGES,
)  # fmt: skip - a list
_MEMBERS = frozenset({"org-admin", "org-developer", "org-viewer"})
_INSIDE = _MEMBERS | {"sovereign-admin", "security-officer"}
PLACES: tuple[Place, ...] = (
    Place("/console/sovereigns", "Sovereigns", "s", _INSIDE | {"billing-admin"}),
    Place("/console/organizations", "Organizations", "o", also=("/console/environments/",)),
    Place("/console/marketplace", "Marketplace", "m"),
    Place("/console/shop", "Shop", "h"),
    Place("/console/domains", "Domains", "d", _INSIDE, also=("/console/zones/", "/console/pools/")),
    Place("/console/continuity", "Continuity", "c", _INSIDE, also=("/console/namespaces/",)),
    Place("/console/timeline", "Timeline", "t"),
    Place(
        "/console/money", "Money", "b", frozenset({"billing-admin", "sovereign-admin"}), ("/console/billingAccounts/",)
    ),
    Place("/console/admin", "Admin", "a", frozenset({"sovereign-admin", "security-officer"})),
    Place("/docs", "Documentation", "r"),
)
