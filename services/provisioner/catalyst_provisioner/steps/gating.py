"""The step that waits at a gate. The word comes as a signal, and is kept with the step that it opened or failed."""

from typing import Any

from catalyst_mesh.journal import Context, StepFailed

from ..domain.gates import PREFIX, REJECTED


class Gating:
    """Steps that wait for a person."""

    async def approve(self, ctx: Context, gate: str) -> Any:
        """Go on when somebody has agreed; fail when somebody has refused."""
        word = await ctx.signal(f"{PREFIX}{gate}")
        by, comment, at = word["by"], word["comment"], word["at"]
        if not word["approved"]:
            text = f"{by} refused{f': {comment}' if comment else ''}"
            raise StepFailed(REJECTED, text, user_action="plan anew, or retry the step", by=by, comment=comment, at=at)
        return {"by": by, "comment": comment, "at": at}
