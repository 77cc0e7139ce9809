"""Kinds that are judged and not acted upon yet: whoever applies one hears whether it is right, and that nothing follows."""

from catalyst_kube.cluster import Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen


class Judged:
    """condition   what would be True if somebody acted upon it"""

    def __init__(self, condition: str) -> None:
        self._condition = condition

    async def reconcile(self, one: Object) -> Seen:
        """Say that it is right, which the linter has seen, and that it has no effect."""
        return Seen((Observed(self._condition, False, "NotServed", "no daemon of this release acts upon it"),))

    async def release(self, one: Object) -> None:
        """Nothing was made."""
