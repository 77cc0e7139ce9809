"""Names of Organizations: what they look like, and which nobody may have (platform.md, section 1)."""

import re
from dataclasses import dataclass

from catalyst_sdk import Code, Refused

_SLUG = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")


class SlugInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "SLUG_INVALID"
    message = "{slug} is no slug: 3 to 32 lower-case letters, digits and single hyphens, a letter first, no hyphen last"
    field = "organization_id"


class SlugReserved(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SLUG_RESERVED", "{slug} means something else in names"
    field = "organization_id"


@dataclass(frozen=True, slots=True)
class Reserved:
    """Names that mean something else: words of the system, and the codes that names of clusters are made of."""

    words: frozenset[str]
    prefixes: tuple[str, ...] = ()


def demand(slug: str, reserved: Reserved) -> None:
    """Whether an Organization may be called so. Raises SlugInvalid, SlugReserved."""
    if slug.startswith(reserved.prefixes) or slug in reserved.words:
        raise SlugReserved(slug=slug)
    if not _SLUG.fullmatch(slug) or "--" in slug:
        raise SlugInvalid(slug=slug)
