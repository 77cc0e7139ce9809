"""A house in which there is something of everything, for tests that look at whole pages."""

from typing import Any

from . import filled_organizations
from .fake_daemons import FakeDaemons
from .filled_common import CONDITIONS, NOW, OMR
from .filled_organizations import APP, ENV, INVITATION, ORDER, ORG, PROMOTION, QUOTE, WEBHOOK

EAST, WEST = "hz-fsn-rtz-prod", "hz-hel-rtz-prod"
SLOT = "namespaces/acme/continuums/shop"
ZONE = "zones/acme.omani.works"
NAME = "pools/omani.works/allocations/acme"
BOOK: dict[str, Any] = {
    "name": "priceBooks/3",
    "number": "3",
    "currency": "OMR",
    "validFromTime": NOW,
    "createTime": NOW,
    "publishedBy": "ada",
    "plans": [{"slug": "m", "price": {"minor": "9000", "currency": "OMR"}, "metered": True}],
    "addOns": [{"slug": "backup", "included": True}, {"slug": "vpn", "price": OMR, "retired": True}],
    "bundles": [{"slug": "office", "discountBps": 1250, "apps": ["ghost", "nextcloud"]}],
    "rates": [
        {"meter": "meters/vcpu_hours", "model": "MODEL_PER_UNIT", "unitPrice": {"minor": "5", "currency": "OMR"}}
    ],
}
_SLOT: dict[str, Any] = {
    "name": SLOT,
    "etag": '"3"',
    "conditions": CONDITIONS,
    "spec": {"primaryRegion": EAST, "hotStandbyRegions": [WEST], "rto": "60s", "rpo": "5s", "mode": "MODE_AUTOMATIC"},
    "status": {
        "phase": "PHASE_HEALTHY",
        "primaryRegion": EAST,
        "leaseHolder": EAST,
        "epoch": "7",
        "selfRegion": EAST,
        "authorityRemaining": "8s",
        "replicationLag": {WEST: "0.4s"},
        "maxReplicationLag": "0.4s",
        "lastDrill": {"passed": True, "endTime": NOW},
        "witness": {
            "cells": [
                {"name": "cell-1", "reachable": True, "rtt": "0.002s"},
                {"name": "cell-2", "message": "silent for 4 s"},
            ],
            "quorum": 2,
            "size": 3,
        },
    },
}  # fmt: skip - a document
_MOVE = {
    "name": f"{SLOT}/runs/run-1",
    "kind": "RUN_KIND_SWITCHOVER",
    "state": "STATE_RUNNING",
    "fromRegion": EAST,
    "toRegion": WEST,
    "reason": "a rehearsed move",
    "initiatedBy": "ada",
    "startEpoch": "7",
    "epoch": "8",
    "createTime": NOW,
    "approvalsRequired": 1,
    "steps": [{"number": 1, "phase": "fence", "executor": EAST, "state": "STATE_DONE", "startTime": NOW}],
}  # fmt: skip - a document
_ZONE = {
    "name": ZONE,
    "kind": "KIND_CHILD",
    "state": "STATE_ACTIVE",
    "backend": "backends/powerdns",
    "conditions": CONDITIONS,
    "dnssec": {"enabled": True},
}  # fmt: skip - a document
_DS = {"keyTag": 4711, "algorithm": 13, "digestType": 2, "digest": "ab" * 32}
_NAME = {
    "name": NAME,
    "fqdn": "acme.omani.works",
    "owner": "organizations/acme",
    "state": "STATE_ACTIVE",
    "zone": ZONE,
    "holder": "sovereigns/acme",
    "targets": [{"slot": "control-plane", "address": "203.0.113.7"}],
    "conditions": CONDITIONS,
}  # fmt: skip - a document
_VERSION = {
    "name": "blueprints/bp-ghost/versions/5.94.0",
    "semver": "5.94.0",
    "state": "STATE_VERIFIED",
    "digest": "sha256:" + "cd" * 32,
    "publishTime": NOW,
    "configSchema": {
        "type": "object",
        "required": ["title"],
        "properties": {
            "title": {"type": "string", "title": "Title", "description": "Shown on top."},
            "public": {"type": "boolean", "default": True},
            "size": {"enum": ["s", "m"], "default": "s"},
            "smtp": {"type": "object", "properties": {"port": {"type": "integer", "default": 25}}},
        },
    },
}  # fmt: skip - a document
_CLUSTER: dict[str, Any] = {
    "provider": "hetzner",
    "region": "fsn1",
    "buildingBlock": "mgt",
    "envType": "prod",
    "controlPlane": {"size": "cx33", "count": 3},
    "workerPools": [{"name": "general", "size": "cx33", "count": 2}],
}  # fmt: skip - a document
_SOVEREIGN = {
    "name": "sovereigns/acme",
    "etag": '"5"',
    "state": "STATE_ACTIVE",
    "health": "HEALTH_HEALTHY",
    "fqdn": "acme.omani.works",
    "spec": {"organization": {"slug": "acme"}, "clusters": [_CLUSTER], "components": {"include": ["bp-temporal"]}},
    "conditions": CONDITIONS,
}  # fmt: skip - a document
ANSWERS: dict[str, Any] = {
    "GetSovereign": _SOVEREIGN,
    **filled_organizations.ANSWERS,
    "ListContinuums": {"continuums": [_SLOT]},
    "GetContinuum": _SLOT,
    "continuum.ListRuns": {"runs": [_MOVE]},
    "continuum.GetRun": _MOVE,
    "ListPools": {
        "pools": [{"name": "pools/omani.works", "zone": ZONE, "state": "STATE_ACTIVE", "dnssec": {"enabled": True}}]
    },
    "ListAllocations": {"allocations": [_NAME]},
    "GetAllocation": _NAME,
    "ListAllocationHistory": {
        "entries": [{"event": "committed", "state": "STATE_ACTIVE", "actor": "ada", "changeTime": NOW}]
    },
    "ListZones": {"zones": [_ZONE]},
    "GetZone": _ZONE,
    "GetDnssec": {
        "keys": [{"keyTag": 4711, "active": True}],
        "ds": [_DS],
        "dsObserved": [_DS],
        "earliestExpireTime": NOW,
    },
    "GetDelegation": {
        "state": "STATE_DELEGATED",
        "wished": {"ns": ["ns1.omani.works."]},
        "rollbackUntilTime": NOW,
        "observed": [
            {
                "server": "a.ns.test.",
                "address": "192.0.2.1",
                "records": {"ns": ["ns1.omani.works."]},
                "observeTime": NOW,
            }
        ],
    },
    "ListRecordSets": {
        "recordSets": [{"name": "acme.omani.works.", "type": "A", "ttl": "60s", "values": ["203.0.113.7"]}]
    },
    "ListDrifts": {
        "drifts": [{"kind": "KIND_MISSING", "state": "STATE_OPEN", "cause": "deleted by hand", "openTime": NOW}]
    },
    "SearchCards": {
        "cards": [
            {
                "name": "blueprints/bp-ghost",
                "title": "Ghost",
                "tagline": "A blog",
                "family": "cortex",
                "version": "5.94.0",
            }
        ],
        "facets": [{"name": "family", "values": [{"value": "cortex", "count": 1}, {"value": "relay", "count": 2}]}],
    },
    "catalog.GetBlueprint": {
        "name": "blueprints/bp-ghost",
        "title": "Ghost",
        "summary": "A blog that its owner controls.",
        "latestVersion": "blueprints/bp-ghost/versions/5.94.0",
        "family": "cortex",
    },
    "ListVersions": {
        "versions": [
            {**_VERSION, "signature": "SIGNATURE_VERIFIED", "source": "sources/public"},
            {
                **_VERSION,
                "name": "blueprints/bp-ghost/versions/5.90.0",
                "semver": "5.90.0",
                "state": "STATE_QUARANTINED",
            },
        ]
    },
    "LintBlueprint": {
        "folder": "shop",
        "blueprint": "bp-shop",
        "version": "0.1.0",
        "mendedDocument": "kind: Blueprint\n",
        "findings": [
            {
                "rule": "RANGE_UNSATISFIED",
                "level": "LEVEL_ERROR",
                "line": 3,
                "column": 5,
                "field": "spec.depends.0.version",
                "message": "bp-db is 1.0.0, which ^2 leaves out",
                "fix": "widen the range",
            },
            {
                "rule": "UNQUOTED_BOOLEAN",
                "level": "LEVEL_WARNING",
                "line": 9,
                "column": 1,
                "message": "Off is text here",
            },
        ],
    },
    "CompareVersions": {
        "upgradeAllowed": True,
        "configChanges": [{"path": "/smtp/port", "kind": "KIND_DEFAULT", "from": "25", "to": "587"}],
        "addedDepends": [{"blueprint": "bp-mysql", "range": "^9.0"}],
    },
    "catalog.GetVersion": _VERSION,
    "catalog.Closure": {
        "nodes": [
            {"name": "blueprints/bp-mysql", "version": "9.0.0"},
            {"name": "blueprints/bp-ghost", "version": "5.94.0", "wave": 1},
        ]
    },
    "GetRevenue": {"mrr": OMR, "accounts": 1, "activeSubscriptions": 1},
    "ListAccounts": {"accounts": [{"name": "billingAccounts/acme", "state": "STATE_OPEN", "currency": "OMR"}]},
    "billing.GetAccount": {"name": "billingAccounts/acme", "state": "STATE_OPEN"},
    "ListOrders": {
        "orders": [{"name": "billingAccounts/acme/orders/o1", "state": "STATE_PAID", "total": OMR, "createTime": NOW}]
    },
    "ListVouchers": {"vouchers": [{"name": "vouchers/v1", "code": "WELCOME", "state": "STATE_ACTIVE", "amount": OMR}]},
    "ListLedgerAccounts": {
        "ledgerAccounts": [{"name": "ledgerAccounts/cash", "owner": "sovereigns/home", "balance": OMR}]
    },
    "ListLedgerTransactions": {
        "ledgerTransactions": [
            {
                "name": "ledgerTransactions/1",
                "kind": "order",
                "bookedTime": NOW,
                "actor": "ada",
                "postings": [{"account": "ledgerAccounts/cash", "amount": OMR}],
            }
        ]
    },
    "ListSources": {
        "sources": [{"name": "sources/public", "kind": "directory", "state": "STATE_ACTIVE", "lastSyncTime": NOW}]
    },
    "ListIssues": {
        "issues": [{"name": "sources/public/issues/1", "ref": "bp-x", "reason": "LAYER_UNKNOWN", "message": "no layer"}]
    },
    "provisioner.ListProviders": {
        "providers": [
            {
                "name": "providers/hetzner",
                "displayName": "Hetzner",
                "code": "hz",
                "plugin": {"name": "plugins/hetzner", "version": "1.2.0", "state": "STATE_ACTIVE"},
                "credentialSchema": {"properties": {"token": {"type": "string"}}},
                "loadBalancerTypes": ["lb11"],
            },
            {"name": "providers/other", "code": "ot", "simulated": True},
        ]
    },
    "ListRegions": {
        "regions": [
            {"name": "providers/hetzner/regions/fsn1", "displayName": "Falkenstein", "code": "fsn", "offered": True},
            {"name": "providers/hetzner/regions/hel1", "code": "hel", "source": "table"},
        ]
    },
    "ListOffers": {
        "offers": [
            {
                "name": "providers/hetzner/regions/fsn1/offers/cpx42",
                "size": "cpx42",
                "vcpu": 8,
                "memoryMib": "16384",
                "diskGib": 320,
                "category": "shared-amd",
                "architecture": "x86_64",
                "recommended": True,
                "inStock": True,
                "price": {"month": {"minor": "2999", "currency": "EUR"}},
                "source": "live",
                "readTime": NOW,
            },
            {
                "name": "providers/hetzner/regions/hel1/offers/old",
                "size": "old",
                "vcpu": 1,
                "memoryMib": "2048",
                "deprecated": True,
            },
        ]
    },
    "GetPriceBook": BOOK,
    "PublishPriceBook": {
        **BOOK,
        "number": "4",
        "plans": [{"slug": "m", "price": {"minor": "9900", "currency": "OMR"}}],
    },
    "ListDeadLetters": {
        "deadLetters": [
            {
                "name": "deadLetters/billing-7",
                "subject": "catalyst.v1.x.y.done",
                "consumer": "billing-from-x",
                "error": "poison",
                "aggregate": "x/1",
                "giveUpTime": NOW,
            }
        ]
    },
}  # fmt: skip - documents
PAGES = (
    "/console/sovereigns/acme",
    "/console/sovereigns/acme/change",
    "/console/organizations",
    f"/console/{ORG}",
    f"/console/{ORG}/people",
    f"/console/{ORG}/orders",
    f"/console/{ORG}/webhooks",
    f"/console/{WEBHOOK}",
    f"/console/{INVITATION}",
    f"/console/{ENV}",
    f"/console/{ENV}/policy",
    f"/console/{PROMOTION}",
    f"/console/{APP}",
    f"/console/{APP}/uninstall",
    "/console/marketplace/bp-ghost/install",
    "/console/shop",
    f"/console/{QUOTE}",
    f"/console/{ORDER}",
    "/console/admin/audit",
    "/console/marketplace",
    "/console/marketplace/bp-ghost",
    "/console/marketplace/bp-ghost/studio",
    "/console/studio",
    "/console/studio?from=bp-ghost",
    "/console/domains",
    f"/console/{NAME}",
    f"/console/{ZONE}",
    f"/console/{ZONE}/records",
    f"/console/{ZONE}/drift",
    f"/console/{ZONE}/propagation",
    "/console/continuity",
    f"/console/{SLOT}",
    f"/console/{SLOT}/runs/run-1",
    "/console/money",
    "/console/billingAccounts/acme",
    "/console/money/vouchers",
    "/console/money/book",
    "/console/admin",
    "/console/admin/selling",
    "/console/admin/selling/plans/m",
    "/console/admin/selling/addOns/backup",
    "/console/admin/sources",
    "/console/admin/letters",
    "/console/admin/providers",
    "/console/admin/providers/hetzner",
    "/console/admin/prices",
    "/console/timeline",
    "/docs",
    "/docs?q=lease",
    "/docs/tutorials/first-sovereign.md",
    "/docs/reference/cli/org.md",
)  # fmt: skip - a list
"""Pages beside those of runs and the wizard."""


def fill(daemons: FakeDaemons) -> None:
    """Let every daemon answer what stands here."""
    for method, answer in ANSWERS.items():
        daemons.answer(method, answer)
