"""All pages, and the places to begin at. A new module of pages is known by its line here."""

from . import (
    admin,
    applications,
    auditing,
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
    shop,
    signing,
    sovereigns,
    studio,
    timeline,
    webhooks,
    wizard,
)
from .places import Place
from .visits import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *signing.PAGES,
    *sovereigns.PAGES,
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
    *shop.PAGES,
    *domains.PAGES,
    *continuity.PAGES,
    *money.PAGES,
    *admin.PAGES,
    *offering.PAGES,
    *auditing.PAGES,
    *timeline.PAGES,
    *docs.PAGES,
)  # fmt: skip - a list
PLACES: tuple[Place, ...] = (
    Place("/console/sovereigns", "Sovereigns", "s"),
    Place("/console/organizations", "Organizations", "o", also=("/console/environments/",)),
    Place("/console/marketplace", "Marketplace", "m"),
    Place("/console/shop", "Shop", "h"),
    Place("/console/domains", "Domains", "d", also=("/console/zones/", "/console/pools/")),
    Place("/console/continuity", "Continuity", "c", also=("/console/namespaces/",)),
    Place("/console/timeline", "Timeline", "t"),
    Place(
        "/console/money", "Money", "b", frozenset({"billing-admin", "sovereign-admin"}), ("/console/billingAccounts/",)
    ),
    Place("/console/admin", "Admin", "a", frozenset({"sovereign-admin", "security-officer"})),
    Place("/docs", "Documentation", "r"),
)
