"""Looks at what stands around a slot: room, owners, rules, drills, other slots.

Each is told whether the run is planned. The rows have the names in `checks.ROWS`.
"""

from .check_facts import Facts, Found, blocked, either, passed, unknown, warned


def capacity(f: Facts, planned: bool) -> Found:
    return either(
        f.capacity,
        f"{f.target} has room",
        f"{f.target} has no room for the load",
        f"the room in {f.target} is not known",
    )


def owner(f: Facts, planned: bool) -> Found:
    if f.reverted_by is None:
        return unknown("nobody says whether a change of the desired state would stay")
    if f.reverted_by:
        return blocked(f"{f.reverted_by} would take the change back", "let it leave the fields that a move writes")
    return passed("nobody would take the change back")


def drill(f: Facts, planned: bool) -> Found:
    if f.drill_age is None:
        return warned("there was no drill yet", "rehearse")
    days = f"the last drill was {f.drill_age / 86400:.0f} days ago"
    return warned(days, "rehearse") if f.drill_age > f.goals.drill_age else passed(days)


def blackout(f: Facts, planned: bool) -> Found:
    return (
        blocked(f"the window {f.blackout} is open: nothing is moved in it", "wait")
        if f.blackout
        else passed("no blackout")
    )


def needs(f: Facts, planned: bool) -> Found:
    away = sorted(f"{slot} ({holder})" for slot, holder in f.needs.items() if holder not in (f.target, None))
    silent = sorted(slot for slot, holder in f.needs.items() if holder is None)
    if away:
        return blocked(f"{', '.join(away)} must be in {f.target} first", "move it first")
    if silent:
        return unknown(f"nobody tells where {', '.join(silent)} is")
    return passed(f"{len(f.needs)} slots that this one needs are in {f.target}")


def rules(f: Facts, planned: bool) -> Found:
    told = {name: f"{name} ({f.said[name]})" if f.said.get(name) else name for name in f.rules}
    no = sorted(told[name] for name, passes in f.rules.items() if passes is False)
    silent = sorted(told[name] for name, passes in f.rules.items() if passes is None)
    if no:
        return blocked(f"the rule {', '.join(no)} does not let it pass")
    return (
        unknown(f"the rule {', '.join(silent)} could not be judged") if silent else passed(f"{len(f.rules)} rules pass")
    )
