"""What every page of the console has: who may look, what a failure says, and what a browser is allowed."""

import re

import pytest
from catalyst_gateway.console import asking, index
from catalyst_gateway.console.faults import Faults
from catalyst_gateway.console.rendering import Renderer
from catalyst_sdk import Code, Refused, Violation
from jinja2 import UndefinedError

from . import filled
from .looking import Looking


class Hidden(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "ROLE_MISSING", "that takes the role sovereign-admin"


class Wrong(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SPEC_INVALID", "2 fields are wrong"


async def test_nobody_is_led_to_the_sign_in_and_back(look: Looking) -> None:
    away = await look.at("/console/sovereigns?page=2", roles=())
    assert (away.status, away.headers["location"]) == (303, "/console/sign-in?next=%2Fconsole%2Fsovereigns%3Fpage%3D2")
    form = await look.at(away.headers["location"], roles=())
    assert form.fields["next"] == "/console/sovereigns?page=2"
    region = await look.at("/console/sovereigns", roles=(), headers={"hx-request": "true"})
    assert region.headers["hx-redirect"].startswith("/console/sign-in")


async def test_a_list_without_rows_says_how_to_the_first_one(look: Looking) -> None:
    seen = await look.at("/console/sovereigns")
    assert "There is no Sovereign yet." in seen.text
    assert "/console/new" in seen.links


async def test_what_the_daemons_say_is_shown_and_never_run(look: Looking) -> None:
    spec = {"organization": {"slug": "acme", "displayName": "<script>alert(1)</script>"}}
    one = {"name": "sovereigns/acme", "state": "STATE_ACTIVE", "fqdn": "acme.omani.works", "spec": spec}
    look.daemons.answer("ListSovereigns", {"sovereigns": [one]})
    seen = await look.at("/console/sovereigns")
    assert "/console/sovereigns/acme" in seen.links
    assert "active" in seen.text
    assert "<script>alert" not in seen.html
    assert "catalyst sovereign list" in seen.text


def test_a_name_that_no_page_gave_is_a_fault_and_a_field_that_an_answer_lacks_is_not() -> None:
    renderer = Renderer(places=(), static=str)
    with pytest.raises(UndefinedError, match="'phrase' is undefined"):
        renderer.render(
            "failed.html", frame="bare.html", title="", known="", said={"message": "so it is"}, trace="", at={}
        )


async def test_a_region_is_answered_without_the_frame(look: Looking) -> None:
    seen = await look.at("/console/sovereigns", headers={"hx-request": "true"})
    assert 'id="rows"' in seen.html
    assert "<html" not in seen.html


async def test_a_refusal_is_a_page_with_reason_and_trace(look: Looking) -> None:
    look.daemons.answer("ListSovereigns", Hidden())
    seen = await look.at("/console/sovereigns", roles=(), groups=("/acme/org-viewer",))
    assert seen.status == 403
    assert "That takes the role sovereign-admin" in seen.text
    assert re.search(r"Trace [0-9a-f]{32}", seen.text)


async def test_a_page_whose_daemon_is_silent_says_so_and_goes_without_what_it_can_do_without(
    look: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LITTLE", 0.1)
    monkeypatch.setattr(asking, "PATIENCE", 0.3)
    look.daemons.answer("GetApplication", {"name": filled.APP, "blueprint": "blueprints/bp-x", "state": "STATE_ACTIVE"})
    for method in ("GetVersion", "AdviseUpgrades", "ListSovereigns"):
        look.daemons.silence(method)
    one = await look.at(f"/console/{filled.APP}")
    assert (one.status, "bp-x" in one.text) == (200, True)
    assert len(look.daemons.wishes("AdviseUpgrades")) == 1
    silent = await look.at("/console/sovereigns")
    assert silent.status == 504
    assert "A part of the house does not answer just now" in silent.text


async def test_a_person_who_chose_light_or_dark_gets_pages_in_it(look: Looking) -> None:
    for chosen, html in (("dark", '<html lang="en" data-theme="dark">'), ('"><script>', '<html lang="en">')):
        assert html in (await look.at("/console/sovereigns", headers={"cookie": f"theme={chosen}"})).html


async def test_a_page_forbids_inline_script_and_is_never_kept(look: Looking) -> None:
    seen = await look.at("/console/sovereigns")
    assert "default-src 'self'" in seen.headers["content-security-policy"]
    assert "unsafe" not in seen.headers["content-security-policy"]
    assert seen.headers["cache-control"] == "no-store"


async def test_files_are_found_by_what_is_in_them_and_nothing_else_is(look: Looking) -> None:
    seen = await look.at("/console/sovereigns")
    files = re.findall(r'"(/static/[^"]+)"', seen.html)
    assert len(files) == 4, "each is a way there and back before the first page can be used"
    script = 0
    for path in dict.fromkeys(files):
        file = await look.at(path, roles=())
        assert (file.status, "immutable" in file.headers["cache-control"]) == (200, True)
        script += len(file.html.encode()) if ".js" in path else 0
    assert 0 < script <= 250_000
    assert (await look.at("/static/nothing.js", roles=())).status == 404


@pytest.mark.parametrize(
    "found", [r"<script(?! src)", r"\son[a-z]+=", r"<style", r"\sstyle=", r"hx-on", r"javascript:"]
)
def test_no_template_has_what_the_policy_forbids(found: str) -> None:
    for name, source in Renderer().names().items():
        assert not re.search(found, source), name


def test_every_page_is_reached_by_one_path_and_every_place_by_one_key() -> None:
    paths = [(page.verb, page.path) for page in index.PAGES]
    assert len(paths) == len(set(paths))
    keys = [place.key for place in index.PLACES]
    assert len(keys) == len(set(keys))


async def test_nobody_is_shown_a_page_or_does_anything_without_signing_in(look: Looking) -> None:
    ways = [page for page in index.PAGES if not page.is_open]
    assert len(ways) > 80
    for way in ways:
        path = re.sub(r"{\w+:\w+}", "x", way.path)
        seen = await (look.at(path, roles=()) if way.verb == "GET" else look.send(path, {"confirm": "x"}, roles=()))
        assert (way.path, seen.status) == (way.path, 303)
        assert seen.headers["location"].startswith("/console/sign-in")
    assert look.daemons.asked == []


def ways_of(verb: str) -> list[re.Pattern[str]]:
    paths = [page.path for page in index.PAGES if page.verb == verb and "{path:path}" not in page.path]
    return [re.compile(re.sub(r"{\w+:str}", "[^/]+", path)) for path in paths]


async def test_a_page_that_an_action_shows_again_leads_nowhere_that_is_not_there(look: Looking) -> None:
    filled.fill(look.daemons)
    look.daemons.refuse_changes(Wrong())
    total = {"month": {"minor": "1", "currency": "OMR"}, "hourMicros": "1"}
    look.daemons.answer("GetSovereign", {"name": "sovereigns/x", "spec": {"airGap": {}}})
    look.daemons.answer("provisioner.GetRun", {"name": "sovereigns/x/runs/x"})
    look.daemons.answer("provisioner.GetPlan", {"name": "sovereigns/x/plans/x", "cost": {"after": {"total": total}}})
    shown = 0
    for way in index.PAGES:
        if way.verb != "POST" or way.is_open or "/console/new/" in way.path:  # the wizard keeps a wish first
            continue
        path = re.sub(r"{\w+:str}", "x", way.path.replace("{env:str}", "acme-prod"))
        seen = await look.send(path, {"confirm": path.split("/")[-2]})
        if seen.status == 303:
            continue
        shown += 1
        for kind, verb in ((r"hx-get", "GET"), (r"(?:form)?action", "POST")):
            for there in re.findall(rf'\s{kind}="([^"?]+)', seen.html):
                assert any(one.fullmatch(there) for one in ways_of(verb)), (way.path, kind, there)
    assert shown > 20


def test_a_fault_stands_at_the_field_of_the_form_that_it_speaks_of() -> None:
    empty = Violation("sovereign.spec.name", "must be at least 1 characters", "z")
    wrong = Wrong(
        violations=(Violation("sovereign.spec.domain.label", "is taken", "x"), Violation("", "too much", "y"), empty)
    )
    faults = Faults.of(wrong, under=("sovereign.spec.",))
    assert faults.get("name") == "is missing"
    assert faults.get("domain.label") == "is taken"
    assert faults.get("domain.pool") == ""
    assert list(faults) == ["domain.label", "", "name"]
