"""The audit line: who asked for what, on whose, and what came of it."""

import json

from catalyst_mesh import Caller

from ..audit import Trail
from .visits import Shown, Visit, page

_CHOSEN = ("subject", "organization", "verb", "reason", "traceId")


@page("/console/admin/audit")
async def audit(at: Visit) -> Shown:
    """Lines, the newest first: of everybody for a security-officer, of one Organization for its admins."""
    asked = {name: at.query[name] for name in (*_CHOSEN, "pageToken") if at.query.get(name)}
    person = Caller(at.person.subject, roles=at.person.roles, groups=at.person.groups)
    found = json.loads((await Trail(at.work).page(person, {**asked, "pageSize": "100"})).content)
    chosen = {name: at.query.get(name, "") for name in _CHOSEN}
    return at.show(
        "audit.html", title="Audit", tab="audit", rows=found["lines"], older=found["nextPageToken"], chosen=chosen
    )


PAGES = (audit,)
