"""Looks at the names: whether they can be moved, are where they should be, and lead to somebody who answers.

Each is told whether the run is planned. The rows have the names in `checks.ROWS`.
"""

from .check_facts import Facts, Found, blocked, passed, unknown, warned


def zone(f: Facts, planned: bool) -> Found:
    refused = sorted(name for name, takes in f.writable.items() if takes is False)
    silent = sorted(name for name, takes in f.writable.items() if takes is None)
    if refused:
        return blocked(f"{', '.join(refused)} refuses updates of the zone", "grant the key the zone's names")
    if silent or not f.writable:
        return unknown(f"{', '.join(silent) or 'no authority'} does not say whether it takes updates")
    return passed(f"{len(f.writable)} authorities take updates")


def marks(f: Facts, planned: bool) -> Found:
    rows = f.traffic.authorities if f.traffic else ()
    silent = sorted({one.authority for one in rows if not one.answers})
    if not rows or silent:
        return unknown(f"{', '.join(silent) or 'no authority'} does not answer for the names")
    off = sorted({f"{one.authority} {one.epoch}" for one in rows if one.epoch != f.epoch})
    if off:
        return blocked(
            f"names are not in epoch {f.epoch}: {', '.join(off)}", "the holder brings them there; look at the servers"
        )
    return passed(f"all names are in epoch {f.epoch} at every authority")


def ttl(f: Facts, planned: bool) -> Found:
    goal = f.goals.ttl or 0
    lasting = [one.ttl for one in f.traffic.authorities if one.ttl is not None] if f.traffic else []
    if not lasting:
        return unknown("the lifetime of the names' records is not known")
    if max(lasting) > goal:
        return blocked(f"records live for {max(lasting)} s, {goal} s are configured", "the holder writes them anew")
    return passed(f"records live for {max(lasting)} s")


def fronts(f: Facts, planned: bool) -> Found:
    if f.fronts is None:
        return warned(f"nobody can ask the addresses of {f.target}", "say how, in luaRecord.healthCheck")
    dead = sorted(address for address, answers in f.fronts.items() if answers is False)
    silent = sorted(address for address, answers in f.fronts.items() if answers is None)
    if dead:
        return blocked(f"{', '.join(dead)} of {f.target} does not answer", "bring the gateway back")
    if silent or not f.fronts:
        return unknown(f"nobody asked {', '.join(silent) or 'the addresses'} of {f.target}")
    return passed(f"{len(f.fronts)} addresses of {f.target} answer")
