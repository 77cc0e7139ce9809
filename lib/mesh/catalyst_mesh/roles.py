"""The roles there are, and by which names others know them (platform.md, section 2)."""

from collections.abc import Mapping

WHOLE_SOVEREIGN = frozenset({"sovereign-admin", "security-officer", "billing-admin"})
"""Roles that no membership of one Organization can give."""
ORGANIZATION_ROLES = frozenset({"org-admin", "org-developer", "org-viewer"})
"""Roles that count in the Organization whose membership gives them."""
AGENT = "agent"
"""Role of the agents of clusters, each for its own cluster."""
SERVICE = "service:"
"""Begins the role of a daemon, `service:billing`; while it serves a person, that person must hold a role of the row too."""
OWN = "own:"
"""Begins the same in its own right, `own:provisioner`: for questions that are the daemon's, whoever it serves meanwhile."""

SOVEREIGN_NAMES: Mapping[str, str] = {
    "superadmin": "sovereign-admin",
    **{role: role for role in sorted(WHOLE_SOVEREIGN)},
}
"""Names of realm roles and what they are here; others, of which providers have many, mean nothing."""
MEMBER_NAMES: Mapping[str, str] = {
    "owner": "org-admin",
    "admin": "org-admin",
    "member": "org-developer",
    "developer": "org-developer",
    "viewer": "org-viewer",
    **{role: role for role in sorted(ORGANIZATION_ROLES)},
}
"""Last part of a group `/<organization>/<role>` and what it is here."""
