"""What the answers of all daemons share, in the house in which there is something of everything."""

NOW = "2026-11-30T10:00:00Z"
OMR = {"minor": "25000", "currency": "OMR"}
CONDITIONS = [
    {"type": "Ready", "status": "STATUS_TRUE", "reason": "Ok", "message": "all is well", "since": NOW},
    {
        "type": "LeaseHeld",
        "status": "STATUS_FALSE",
        "reason": "HeldByOther",
        "message": "the other region",
        "since": NOW,
    },
]  # fmt: skip - a list
