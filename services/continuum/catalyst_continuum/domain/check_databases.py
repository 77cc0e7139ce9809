"""Looks at the two databases: whether the target may take over, what would be lost, whether there is a way back.

Each is told whether the run is planned. The rows have the names in `checks.ROWS`.
"""

from catalyst_sdk.continuum import Role

from .check_facts import BACKUP_AGE, Facts, Found, blocked, either, passed, unknown, warned


def ready(f: Facts, planned: bool) -> Found:
    view = f.standby
    if view is None or view.ready is None:
        return unknown(f"nobody says whether the database in {f.target} is ready")
    if view.role is Role.STOPPED or not view.ready:
        return blocked(f"the database in {f.target} is {view.role or 'there'} and not ready", "bring the standby back")
    if view.replayed is None or (view.role is Role.REPLICA and view.received is None):
        return unknown(f"{f.target} does not say what it received and replayed")
    return passed(f"{f.target} is ready, replayed up to {view.replayed}")


def system(f: Facts, planned: bool) -> Found:
    """The source's may be known from before: a copy never changes whose copy it is."""
    theirs = f.standby.system_id if f.standby else None
    mine = f.primary.system_id if f.primary else None
    if theirs is None or mine is None:
        return unknown("the two databases do not both say whose copies they are")
    if theirs != mine:
        return blocked(f"{f.target} is a copy of {theirs}, not of {mine}", "clone the standby anew")
    return passed(f"both are copies of {mine}")


def history(f: Facts, planned: bool) -> Found:
    return either(
        f.same_history,
        "the target's timeline is in the source's history",
        "the target's timeline left the source's history",
        "the timelines cannot be compared",
        "rewind or clone the standby",
    )


def lag(f: Facts, planned: bool) -> Found:
    goal = f.goals.max_lag if planned else f.goals.rpo
    if f.lag is None:
        return unknown(f"the lag of {f.target} is not known")
    if f.lag > goal:
        return blocked(f"{f.target} lags by {f.lag:.1f} s, the limit is {goal:.1f} s", "wait, or lighten the load")
    return passed(f"{f.target} lags by {f.lag:.1f} s of {goal:.1f} s")


def loss(f: Facts, planned: bool) -> Found:
    if f.keeps_all is not None and f.target in f.keeps_all:
        return passed(f"{f.target} has every acknowledged write")
    if planned and f.lag is not None and f.lag <= f.goals.rpo:
        return passed(f"{f.target} is waited for until it has the last write")
    if f.accepts_loss:
        return warned(
            "loss was accepted by name" if f.loss is None else f"a loss of {f.loss:.1f} s was accepted by name"
        )
    if f.loss is None:
        return unknown(f"nobody can say what {f.target} would lose", "accept the loss by name, or wait for the holder")
    if f.loss > f.goals.rpo:
        return blocked(
            f"{f.loss:.1f} s of writes would be lost, the goal is {f.goals.rpo:.1f} s", "accept the loss by name"
        )
    return passed(f"at most {f.loss:.1f} s of writes of {f.goals.rpo:.1f} s would be lost")


def reverse(f: Facts, planned: bool) -> Found:
    return either(
        f.reverses,
        f"{f.source} can follow {f.target}",
        f"{f.source} could not follow {f.target} afterwards",
        f"nobody says whether {f.source} could follow {f.target} afterwards",
    )


def delay(f: Facts, planned: bool) -> Found:
    delay, limit = f.cluster.switchover_delay if f.cluster else None, f.goals.fence - 1
    if delay is None:
        return unknown("the cluster's switchoverDelay cannot be read")
    if delay > limit:
        return blocked(
            f"switchoverDelay is {delay:.0f} s, a fence has {limit:.0f} s",
            f"set switchoverDelay to {limit:.0f} or less",
        )
    return passed(f"switchoverDelay {delay:.0f} s fits into the fence")


def roles(f: Facts, planned: bool) -> Found:
    equal = f.cluster.roles_equal if f.cluster else None
    return either(
        equal, "roles and secrets are equal", "roles or secrets differ", "roles and secrets cannot be compared"
    )


def backups(f: Facts, planned: bool) -> Found:
    age = f.cluster.backup_age if f.cluster else None
    if age is None:
        return unknown("no backup is known", "make one")
    hours = f"the last backup is {age / 3600:.0f} h old"
    return blocked(hours, "make one") if age > BACKUP_AGE else passed(hours)


def never_two(f: Facts, planned: bool) -> Found:
    writing = sorted(region for region, view in f.databases.items() if view is not None and view.writable)
    if strangers := [region for region in writing if region != f.source]:
        return blocked(
            f"{', '.join(strangers)} takes writes besides the holder", "fence it: there may be two primaries"
        )
    return passed("nobody but the holder takes writes")


def never_zero(f: Facts, planned: bool) -> Found:
    """What is given up must be taken up: a target that cannot lead leaves the slot without anybody."""
    if f.standby is not None and f.standby.role is Role.STOPPED:
        return blocked(f"{f.target} is stopped: nobody would be left", "bring it back")
    if f.fronts and all(answers is False for answers in f.fronts.values()):
        return blocked(f"no address of {f.target} answers: nobody would be left", "bring its gateway back")
    return passed(f"{f.target} is left")


def stable(f: Facts, planned: bool) -> Found:
    goal = f.goals.stable_for or 0.0
    if f.stable is None:
        return unknown(f"nobody says since when {f.target} has every write", "wait until it follows")
    if f.stable < goal:
        return blocked(
            f"{f.target} has had every write for {f.stable:.0f} s, {goal:.0f} s are wanted before a way back", "wait"
        )
    return passed(f"{f.target} has had every write for {f.stable:.0f} s of {goal:.0f} s")
