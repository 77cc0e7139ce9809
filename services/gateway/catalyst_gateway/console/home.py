"""Where nobody has chosen anything yet."""

from catalyst_sdk import Code, Refused

from .visits import Shown, Visit, page


class NoSuchPage(Refused):
    code, reason, message = Code.NOT_FOUND, "PATH_NOT_FOUND", "the console has no page {path}"


@page("/")
async def root(at: Visit) -> Shown:
    """The address without a path."""
    return await home.show(at)


@page("/console")
async def home(at: Visit) -> Shown:
    """The console without a page: whoever belongs nowhere yet begins where one can be made or joined."""
    belongs = at.person.roles or at.person.groups
    return at.go("/console/sovereigns" if belongs else "/console/organizations")


@page("/console/{path:path}", is_open=True)
async def lost(at: Visit) -> Shown:
    """Where there is no page. Raises NoSuchPage."""
    raise NoSuchPage(path=at.path)


PAGES = (root, home, lost)
