"""The clock by which authority ends."""

import time


def boottime() -> float:
    """Seconds since the machine started, counting on while it is suspended.

    `time.monotonic` stops in suspend: a holder that sleeps for an hour would wake up and take its old authority for new.
    Where there is no such clock (not Linux), that one it is.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
