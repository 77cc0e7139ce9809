"""Resource names that arrive from outside, taken apart."""

import re

ORDER = re.compile(r"billingAccounts/([a-z][a-z0-9-]{1,30}[a-z0-9])/orders/([a-z0-9-]{3,63})")
"""Name of an order: Organization and id."""
