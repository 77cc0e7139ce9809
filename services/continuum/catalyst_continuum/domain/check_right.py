"""Looks at the right to be primary: who has it, who can tell, whether it may move now.

Each is told whether the run is planned. The rows have the names in `checks.ROWS`.
"""

from .check_facts import LARGEST_OFFSET, Facts, Found, blocked, either, passed, unknown, warned


def holder(f: Facts, planned: bool) -> Found:
    if f.holder is None:
        return unknown("no majority of cells tells who holds the slot", "bring cells back")
    if f.holder != f.source:
        return blocked(f"{f.holder or 'nobody'} holds the slot, not {f.source}", "plan anew from the holder")
    return passed(f"{f.source} holds the slot")


def epoch(f: Facts, planned: bool) -> Found:
    return unknown("the epoch cannot be read") if f.epoch is None else passed(f"epoch {f.epoch}")


def quorum(f: Facts, planned: bool) -> Found:
    down = sorted(name for name, answers in f.cells.items() if not answers)
    up = len(f.cells) - len(down)
    if up < f.majority:
        return blocked(f"{up} of {len(f.cells)} cells answer, {f.majority} are needed", "bring cells back")
    if down:
        return warned(
            f"{', '.join(down)} of {len(f.cells)} cells do not answer", "bring them back: one more may be too many"
        )
    return passed(f"all {up} cells answer")


def sound(f: Facts, planned: bool) -> Found:
    shut = sorted(f.quarantined & f.cells.keys())
    left, names = len(f.cells) - len(shut), ", ".join(shut)
    if left < f.majority:
        return blocked(f"{names} are in quarantine: {left} of {len(f.cells)} cells are left", "admit them again")
    return warned(f"{names} is in quarantine", "admit it again") if names else passed("no cell is in quarantine")


def agent(f: Facts, planned: bool) -> Found:
    mine, theirs = f.versions
    if theirs is None:
        return unknown(f"the agent of {f.target} does not answer", "see whether it runs, and is let through")
    if mine != theirs:
        return blocked(f"version {theirs} runs in {f.target}, {mine} here", "finish the update")
    return passed(f"the agent of {f.target} answers, version {theirs}")


def promotable(f: Facts, planned: bool) -> Found:
    return either(f.promotable, f"{f.target} may become primary", f"{f.target} is marked as not promotable", "")


def suspended(f: Facts, planned: bool) -> Found:
    if f.suspended or f.frozen:
        return blocked("the slot is suspended", "resume it")
    return either(
        None if f.frozen is None else True,
        "the slot is not suspended",
        "",
        "nobody tells whether the register is frozen",
    )


def run(f: Facts, planned: bool) -> Found:
    return blocked(f"the run {f.run} is not over", "wait for it or abort it") if f.run else passed("no other run")


def flaps(f: Facts, planned: bool) -> Found:
    return (
        blocked(f.flaps, "acknowledge the last failovers")
        if f.flaps
        else passed("no failover waits to be acknowledged")
    )


def approval(f: Facts, planned: bool) -> Found:
    """Approvals come after the plan, and are bound to it: their absence makes a run wait, not fail."""
    return (
        warned(f"{f.approvals} approvals are missing: the run waits for them")
        if f.approvals
        else passed("no approval missing")
    )


def clock(f: Facts, planned: bool) -> Found:
    if f.offset is None:
        return unknown(f"none of {f.clocks} other clocks tells the time")
    if abs(f.offset) > LARGEST_OFFSET:
        return blocked(f"the clock is off by {f.offset:.0f} s, at 300 s no update is taken", "set the clock")
    return passed(f"the clock is off by {f.offset:.1f} s")
