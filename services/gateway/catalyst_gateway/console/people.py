"""Who looks: to choose what is worth showing, and whose wishes are kept. What is allowed the daemons say."""

from collections.abc import Collection
from dataclasses import dataclass

from catalyst_mesh import Caller
from catalyst_mesh.claims import peek, words


@dataclass(frozen=True, slots=True)
class Person:
    """A subject with roles over the Sovereign and memberships `/<organization>/<role>`."""

    subject: str = ""
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def known(cls, caller: Caller) -> "Person":
        """Whom a token names that was checked."""
        return cls(caller.subject, caller.roles, caller.groups)

    @classmethod
    def of(cls, token: str) -> "Person":
        """Whom an unchecked token names, only to show the name; nobody where it names none."""
        claims = peek(token)
        return cls(
            str(claims.get("sub", "")), frozenset(words(claims.get("roles"))), frozenset(words(claims.get("groups")))
        )

    @property
    def is_known(self) -> bool:
        """Whether somebody has signed in."""
        return bool(self.subject)

    @property
    def organizations(self) -> list[str]:
        """Slugs of the Organizations that the person belongs to."""
        return sorted({parts[1] for group in self.groups if len(parts := group.split("/")) == 3})

    def may_change(self, organization: str, *roles: str) -> bool:
        """Whether an action on what is an Organization's is worth showing: not to those known to hold none of `roles` there.

        Whom only the daemon of Organizations knows as a member is shown it, and it decides.
        """
        slug = organization.rpartition("/")[2]
        held = {group.rpartition("/")[2] for group in self.groups if group.split("/")[1:2] == [slug]}
        return not held or bool(held & set(roles)) or bool(self.roles & set(roles))

    def sees_of(self, organization: str, side: str) -> bool:
        """Whether a side of an Organization's page is worth showing, as `may_change` of an action."""
        inside = ("org-admin", "org-developer", "org-viewer")
        slug = organization.rpartition("/")[2]
        if self.roles and slug not in self.organizations and side in ("people", "webhooks"):
            return False  # whoever keeps the Sovereign and is no member there does not see inside
        if self.roles and slug not in self.organizations and side == "orders":
            return "billing-admin" in self.roles
        of = {"people": inside, "orders": ("org-admin", "billing-admin"), "webhooks": ("org-admin",)}
        return side not in of or self.may_change(organization, *of[side])

    def has_any(self, roles: Collection[str]) -> bool:
        """Whether one of `roles` is held, anywhere; no roles asks for none."""
        held = self.roles | {group.rpartition("/")[2] for group in self.groups}
        return not roles or bool(held & set(roles))
