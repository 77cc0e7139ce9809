"""Who may call what: a table, and the rule that what the table does not name is denied."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from catalyst_sdk import Code, Refused

from .calls import Caller

PUBLIC = "public"
"""Everybody, signed in or not."""
SIGNED_IN = "signed-in"
"""Everybody whose token was accepted."""

ALWAYS_OPEN = ("/grpc.health.v1.Health/", "/grpc.reflection.")


class CallDenied(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "CALL_DENIED", "{subject} may not call {method}"


@dataclass(frozen=True, slots=True)
class Access:
    """`{"catalyst.billing.v1.OrderService/GetOrder": {"org-admin", "service:provisioner"}}`.

    The table answers whether somebody of this role may call at all; on whose resource is asked by the handler, which
    knows the resource.
    """

    table: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def is_public(self, method: str) -> bool:
        """Whether `method`, with its leading slash, needs no token."""
        return method.startswith(ALWAYS_OPEN) or PUBLIC in self.table.get(method.lstrip("/"), frozenset())

    def names(self, method: str) -> bool:
        """Whether the table has a row for `method`."""
        return method.lstrip("/") in self.table

    def check(self, caller: Caller, method: str) -> None:
        """Raises CallDenied where no role of the caller stands in the row of `method`, or there is no row."""
        allowed = self.table.get(method.lstrip("/"), frozenset())
        if SIGNED_IN in allowed or self.is_public(method) or allowed & caller.all_roles():
            return
        raise CallDenied(subject=caller.subject, method=method.lstrip("/"))


def rows(service: str, **methods: str) -> dict[str, frozenset[str]]:
    """Rows of the table: `rows("catalyst.billing.v1.OrderService", GetOrder="org-admin service:provisioner")`."""
    return {f"{service}/{method}": frozenset(roles.split()) for method, roles in methods.items()}
