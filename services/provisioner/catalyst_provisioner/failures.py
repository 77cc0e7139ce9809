"""From what the journal keeps of a failure to the contract's StepError."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from catalyst.provisioner.v1.resources_pb2 import StepError
from catalyst_mesh import span

_BY_REASON = {
    "CAPACITY": StepError.CLASS_CAPACITY,
    "QUOTA": StepError.CLASS_QUOTA,
    "AUTH": StepError.CLASS_AUTH,
    "CONFLICT": StepError.CLASS_CONFLICT,
    "NAME_TAKEN": StepError.CLASS_CONFLICT,
    "INVALID": StepError.CLASS_INVALID,
    "PROTECTED": StepError.CLASS_PROTECTED,
}
_BY_CLASS = {
    "temporary": StepError.CLASS_TRANSIENT,
    "timeout": StepError.CLASS_TRANSIENT,
    "rate_limited": StepError.CLASS_RATE_LIMITED,
    "not_supported": StepError.CLASS_INVALID,
}


def step_error(failure: Mapping[str, Any] | None) -> StepError | None:
    """None where nothing failed."""
    if not failure:
        return None
    kind, reason = str(failure.get("class", "")), str(failure.get("reason", ""))
    metadata = {key: str(value) for key, value in (failure.get("metadata") or {}).items()}
    retry = metadata.pop("retry_after_seconds", "")
    error = StepError(
        code=reason,
        message=str(failure.get("message", "")),
        remedy=str(failure.get("user_action", "")),
        provider_code=str(failure.get("provider_code", "")),
        metadata=metadata,
        retry_after=span(timedelta(seconds=float(retry))) if retry else None,
    )
    # `class` is a keyword in Python, so the field has no attribute syntax.
    setattr(error, "class", _BY_REASON.get(reason) or _BY_CLASS.get(kind) or StepError.CLASS_UNKNOWN)
    return error
