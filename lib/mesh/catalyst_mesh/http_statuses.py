"""What a refusal is over HTTP: the one table of conventions, section 2. The gateway answers by it, nobody else decides.

A code has one status. Another one of its row is answered only in a case that the row names, and the case is known by the
reason; whoever adds a reason that is such a case adds it here.
"""

from collections.abc import Mapping

OF_CODE: Mapping[str, int] = {
    "INVALID_ARGUMENT": 422,
    "FAILED_PRECONDITION": 412,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
}

UNREADABLE, WRONG_METHOD, IN_THE_WAY, EXPIRED, CHANGED, TOO_LARGE, WRONG_TYPE, BEHIND = (
    400,
    405,
    409,
    410,
    412,
    413,
    415,
    502,
)  # fmt: skip - one row

OF_REASON: Mapping[str, int] = {
    "BODY_INVALID": UNREADABLE,
    # A call of a payment provider's whose signature or body does not hold.
    "BODY_UNREADABLE": UNREADABLE,
    "SIGNATURE_INVALID": UNREADABLE,
    "SIGNATURE_TOO_OLD": UNREADABLE,
    "METHOD_NOT_ALLOWED": WRONG_METHOD,
    "BODY_TOO_LARGE": TOO_LARGE,
    "MEDIA_TYPE_UNSUPPORTED": WRONG_TYPE,
    # Something is in the way: held, committed, in use, not empty, foreign.
    "ALREADY_COMMITTED": IN_THE_WAY,
    "CREDENTIAL_IN_USE": IN_THE_WAY,
    "FOREIGN_ZONE": IN_THE_WAY,
    "IN_USE": IN_THE_WAY,
    "NAME_QUARANTINED": IN_THE_WAY,
    "ORDERS_OPEN": IN_THE_WAY,
    "ORDER_OPEN": IN_THE_WAY,
    "POOL_NOT_EMPTY": IN_THE_WAY,
    "RUN_TERMINAL": IN_THE_WAY,
    "SOVEREIGN_EXISTS_OUTSIDE": IN_THE_WAY,
    "SOVEREIGN_TAKEN": IN_THE_WAY,
    "SUBSCRIPTION_ACTIVE": IN_THE_WAY,
    "ZONE_DELEGATED": IN_THE_WAY,
    "ENDPOINT_RETIRED": EXPIRED,
    "PLAN_EXPIRED": EXPIRED,
    "QUOTE_EXPIRED": EXPIRED,
    "RESERVATION_EXPIRED": EXPIRED,
    # The condition that the caller set with its etag (RFC 9110, section 13.1.1), however it came.
    "ETAG_MISMATCH": CHANGED,
    # A registrar or a payment provider behind us.
    "PAYMENT_UNAVAILABLE": BEHIND,
    "REGISTRAR_PROTOCOL_MISMATCH": BEHIND,
    "REGISTRAR_UNAVAILABLE": BEHIND,
}

CASES: Mapping[str, frozenset[int]] = {
    "INVALID_ARGUMENT": frozenset({UNREADABLE, TOO_LARGE, WRONG_TYPE}),
    "FAILED_PRECONDITION": frozenset({IN_THE_WAY, EXPIRED}),
    "ABORTED": frozenset({CHANGED}),
    "UNAVAILABLE": frozenset({BEHIND}),
    # HTTP alone knows paths that are there for another verb (RFC 9110, section 15.5.6).
    "UNIMPLEMENTED": frozenset({WRONG_METHOD}),
}
"""The other statuses of each row; a reason whose code has no such case cannot have one."""


def http_status(code: str, reason: str) -> int:
    """The status of a refusal; what we do not know is our own bug."""
    usual = OF_CODE.get(code, 500)
    special = OF_REASON.get(reason, usual)
    return special if special in CASES.get(code, ()) else usual
