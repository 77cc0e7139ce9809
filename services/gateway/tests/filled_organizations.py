"""Organizations of the house in which there is something of everything: what is theirs, and what they ordered."""

from typing import Any

from .filled_common import CONDITIONS, NOW, OMR

ORG, ENV = "organizations/acme", "environments/acme-prod"
APP, OPERATION = f"{ENV}/applications/blog", "operations/environment-run-1"
PROMOTION = f"{ENV}/promotions/pro-0123456789abcdef0123"
QUOTE, ORDER = "billingAccounts/acme/quotes/q1", "billingAccounts/acme/orders/o1"
WEBHOOK = f"{ORG}/webhooks/wh-0123456789abcdef0123"
INVITATION = f"{ORG}/invitations/inv-0123456789abcdef0123"
_ORG = {
    "name": ORG,
    "displayName": "Acme & Sons",
    "etag": '"4"',
    "kind": "KIND_CUSTOMER",
    "tier": "TIER_SME",
    "billingMode": "BILLING_MODE_REAL",
    "state": "STATE_ACTIVE",
    "operation": OPERATION,
    "conditions": CONDITIONS,
    "createTime": NOW,
}  # fmt: skip - a document
_ENVIRONMENT = {
    "name": ENV,
    "type": "prod",
    "state": "STATE_ACTIVE",
    "branch": "main",
    "secretsPath": "org/acme/env/prod/",
    "organization": ORG,
    "regions": [{"provider": "hz", "region": "fsn"}],
    "createTime": NOW,
}  # fmt: skip - a document
_APP: dict[str, Any] = {
    "name": APP,
    "etag": '"9"',
    "blueprint": "blueprints/bp-ghost",
    "blueprintVersion": "5.94.0",
    "state": "STATE_ACTIVE",
    "pin": {"version": "5.94.0", "commit": "ab" * 20},
    "previous": {"version": "5.90.0", "commit": "cd" * 20},
    "repository": "acme/blog.git",
    "branch": "main",
    "uses": ["mysql"],
    "config": {"title": "Blog", "smtp": {"port": 587}},
    "operation": OPERATION,
    "conditions": CONDITIONS,
    "activeTime": NOW,
}  # fmt: skip - a document
_OPERATION = {
    "name": OPERATION,
    "done": True,
    "error": {"code": 9, "message": "the repository is locked"},
    "metadata": {
        "@type": "type.googleapis.com/catalyst.environment.v1.OperationMetadata",
        "kind": "install-application",
        "subject": APP,
        "actor": "ada",
        "doneCount": 1,
        "createTime": NOW,
        "steps": [
            {"name": "plan", "state": "STATE_SUCCEEDED", "endTime": NOW},
            {"name": "commit", "state": "STATE_FAILED", "message": "the repository is locked"},
        ],
    },
}  # fmt: skip - a document
_PROMOTION = {
    "name": PROMOTION,
    "application": "blog",
    "source": "environments/acme-dev",
    "commit": "ab" * 20,
    "requester": "ada",
    "state": "STATE_PENDING_APPROVAL",
    "createTime": NOW,
    "gates": [
        {"name": "approvals", "state": "STATE_WAITING", "message": "1 of 2"},
        {"name": "score", "state": "STATE_PASSED", "message": "91, 80 are asked for"},
    ],
}  # fmt: skip - a document
_LINES = [
    {"kind": "KIND_PLAN", "item": "m", "description": "Plan M", "amount": OMR},
    {"kind": "KIND_TAX", "item": "vat", "description": "VAT, 5 %", "amount": OMR},
]
_SELECTION = {"plan": "m", "apps": ["ghost"], "periodMonths": 1}
_ORDER = {
    "name": ORDER,
    "state": "STATE_AWAITING_PAYMENT",
    "total": OMR,
    "due": OMR,
    "createTime": NOW,
    "selection": _SELECTION,
    "lines": _LINES,
    "checkoutUrl": "https://pay.example/c1",
    "deadlineTime": NOW,
    "environment": ENV,
}  # fmt: skip - a document
_WEBHOOK = {
    "name": WEBHOOK,
    "url": "https://hooks.acme.example/catalyst",
    "types": ["catalyst.v1.environment.*"],
    "state": "STATE_FAILING",
    "reason": "it answered 503",
    "etag": '"1"',
    "failingStartTime": NOW,
    "secretChangeTime": NOW,
    "createTime": NOW,
}  # fmt: skip - a document
ANSWERS: dict[str, Any] = {
    "ListOrganizations": {"organizations": [_ORG]},
    "GetOrganization": _ORG,
    "ListMembers": {
        "members": [
            {"name": f"{ORG}/members/m-00000000000000000001", "subject": "ada", "role": "ROLE_ADMIN", "owner": True},
            {
                "name": f"{ORG}/members/m-00000000000000000002",
                "subject": "bo",
                "role": "ROLE_VIEWER",
                "email": "bo@acme.example",
            },
        ]
    },
    "ListInvitations": {
        "invitations": [
            {"name": INVITATION, "email": "cy@acme.example", "role": "ROLE_DEVELOPER", "state": "STATE_PENDING"}
        ]
    },
    "ListEnvironments": {
        "environments": [_ENVIRONMENT, {"name": "environments/acme-dev", "type": "dev", "branch": "develop"}]
    },
    "GetEnvironment": _ENVIRONMENT,
    "ListApplications": {
        "applications": [
            _APP,
            {"name": f"{ENV}/applications/mysql", "blueprint": "blueprints/bp-mysql", "backing": True},
        ]
    },
    "GetApplication": _APP,
    "PreviewUninstall": {"purged": ["mysql"], "dependents": ["shop"]},
    "AdviseUpgrades": {
        "advices": [
            {
                "application": "blog",
                "currentVersion": "5.94.0",
                "targetVersion": "6.0.0",
                "path": ["5.95.0", "6.0.0"],
                "configChanges": [{"path": "/smtp/tls", "kind": "KIND_ADDED", "to": "true"}],
            }
        ]
    },
    "GetOperation": _OPERATION,
    "GetPolicy": {
        "name": f"{ENV}/policy",
        "etag": '"2"',
        "requiredApprovals": 2,
        "soak": "14400s",
        "requiredScore": 80,
        "changeWindows": [{"weekdays": [1, 2], "start": "22:00", "duration": "14400s"}],
        "timeZone": "Asia/Muscat",
    },
    "ListPromotions": {"promotions": [_PROMOTION]},
    "GetPromotion": _PROMOTION,
    "catalog.ListPlans": {
        "plans": [
            {
                "name": "plans/m",
                "title": "M",
                "price": OMR,
                "popular": True,
                "limits": {"cpuMilli": "4000", "ramMb": "8192", "diskGb": "80"},
            }
        ]
    },
    "ListApps": {
        "apps": [
            {
                "name": "apps/ghost",
                "title": "Ghost",
                "tagline": "A blog",
                "blueprint": "blueprints/bp-ghost",
                "deployable": True,
            }
        ]
    },
    "catalog.GetPlan": {
        "name": "plans/m",
        "title": "M",
        "etag": '"4"',
        "price": OMR,
        "limits": {"cpuMilli": "4000", "ramMb": "8192"},
    },
    "GetAddOn": {"name": "addOns/backup", "title": "Backups", "etag": '"2"', "price": OMR},
    "ListAddOns": {"addOns": [{"name": "addOns/backup", "title": "Backups", "price": OMR}]},
    "GetQuote": {
        "name": QUOTE,
        "state": "STATE_ACTIVE",
        "lines": _LINES,
        "total": OMR,
        "due": OMR,
        "tax": OMR,
        "hash": "f" * 64,
        "selection": _SELECTION,
        "expireTime": NOW,
    },
    "billing.GetOrder": _ORDER,
    "ListWebhooks": {"webhooks": [_WEBHOOK]},
    "GetWebhook": _WEBHOOK,
    "ListWebhookDeliveries": {
        "webhookDeliveries": [
            {
                "name": f"{WEBHOOK}/deliveries/0197",
                "type": "catalyst.v1.environment.application.installed",
                "state": "STATE_PENDING",
                "eventTime": NOW,
                "nextAttemptTime": NOW,
                "attempts": [{"attemptTime": NOW, "statusCode": 503, "answer": "not now"}],
            }
        ]
    },
}  # fmt: skip - documents
