"""Whether what a plan costs stays within what its spec allows."""

from catalyst_sdk.cloud import Finding, Severity

from .wishes import Wish


def findings(wish: Wish, monthly_minor: int, currency: str, warn_at: float, block_at: float) -> list[Finding]:
    """Whether the month's cost stays within the limit."""
    if wish.monthly_limit is None:
        return []
    limit, in_currency = wish.monthly_limit
    path = "spec.budget.monthly_limit"
    if in_currency != currency:
        text = f"the limit is in {in_currency}, prices are in {currency}"
        return [Finding("budget.warn", Severity.WARNING, path, text, f"give the limit in {currency}")]
    share = monthly_minor / limit if limit else float("inf")
    if share < warn_at:
        return []
    blocked = share > block_at
    text = f"{monthly_minor} of {limit} minor units a month ({100 * share:.0f} %)"
    code, severity = ("budget.exceeded", Severity.ERROR) if blocked else ("budget.warn", Severity.WARNING)
    return [Finding(code, severity, path, text, "raise the limit or take less")]
