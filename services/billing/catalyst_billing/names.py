"""Resource names that arrive from outside, taken apart."""

import re

ORDER = re.compile(r"billingAccounts/([a-z][a-z0-9-]{1,30}[a-z0-9])/orders/([a-z0-9-]{3,63})")
"""Name of an order: Organization and id."""
_ORGANIZATION = "organizations/"


def org_in(organization: str) -> str:
    """`acme` of `organizations/acme`. Raises ValueError where it is another name: who told it is at fault."""
    if not organization.startswith(_ORGANIZATION):
        raise ValueError(f"{organization!r} is no name of an Organization")
    return organization.removeprefix(_ORGANIZATION)
