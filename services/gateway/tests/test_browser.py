"""What people do with the console, in Chromium: keys, narrow windows, and the rules of WCAG. One browser for all of it."""

import os
from typing import Literal

from catalyst_sdk import Code, Refused, Violation
from playwright.async_api import expect

from . import filled
from .looking import NARROW, WIDE, Looking, broken_rules, chromium, is_too_wide, opened, served

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
COLORS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAGES = ("/console/sovereigns", "/console/sign-in", "/console/nowhere", *filled.PAGES)
"""Pages that are looked at in light, in dark and at 320 pixels. A page that is added is named here."""


class Taken(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SLUG_INVALID", "the name cannot be had"


async def test_every_page_keeps_the_rules_of_wcag_in_light_and_dark_and_fits_a_narrow_window(look: Looking) -> None:
    one = {"name": "sovereigns/acme", "state": "STATE_ACTIVE", "fqdn": "acme.omani.works", "simulated": True}
    look.daemons.answer("ListSovereigns", {"sovereigns": [one]})
    filled.fill(look.daemons)
    found: dict[str, list[str]] = {}
    async with served(look) as url, chromium() as browser:
        page = await opened(browser, look, "about:blank")
        for n, path in enumerate(PAGES):
            await page.goto(url + path)
            for colors in COLORS if LONG else (COLORS[n % 2],):  # each in one of them by turns, in a long run in both
                await page.emulate_media(color_scheme=colors)
                found[f"{path} {colors}"] = await broken_rules(page)
            await page.set_viewport_size(NARROW)
            found[f"{path} narrow"] = ["it scrolls sideways"] if await is_too_wide(page) else []
            await page.set_viewport_size(WIDE)
    assert {where: broken for where, broken in found.items() if broken} == {}


async def test_keys_alone_lead_to_every_page_and_what_is_typed_stays_when_its_region_comes_anew(look: Looking) -> None:
    look.daemons.answer("ListSovereigns", {"sovereigns": [{"name": "sovereigns/one"}, {"name": "sovereigns/two"}]})
    async with served(look) as url, chromium() as browser:
        page = await opened(browser, look, f"{url}/console/sign-in")
        await page.locator("main").press("g")
        await page.keyboard.press("s")
        await page.wait_for_url("**/console/sovereigns")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await expect(page.get_by_role("link", name="two")).to_be_focused()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("new sov")
        await expect(page.get_by_role("option", selected=True)).to_have_text("New Sovereign")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/console/new")
        look.daemons.answer("CreateOrganization", Taken(violations=(Violation("organization_id", "is taken", "x"),)))
        await page.goto(f"{url}/console/organizations")
        await page.get_by_label("Short name").fill("acme")
        await page.keyboard.press("Enter")
        await expect(page.locator(".refused a")).to_have_text("Short name")
        filled.fill(look.daemons)
        await page.goto(f"{url}/console/{filled.SLOT}")
        await page.get_by_label("Why").fill("a test of Tuesday")
        await page.locator("#kind").select_option(index=1)
        chosen = await page.locator("#kind").input_value()
        await page.evaluate("document.querySelector('#slot').dataset.old = 'yes'; htmx.trigger('#slot', 'live')")
        await expect(page.locator("#slot:not([data-old])")).to_be_visible(timeout=60_000)
        await expect(page.get_by_label("Why")).to_have_value("a test of Tuesday")
        await expect(page.locator("#kind")).to_have_value(chosen)


async def test_at_the_desk_each_pause_of_the_keys_is_answered_and_a_finding_leads_to_its_line(look: Looking) -> None:
    filled.fill(look.daemons)
    look.daemons.answer("LintBlueprint", {"acceptable": True, "folder": "my-shop"})
    async with served(look) as url, chromium() as browser:
        page = await opened(browser, look, f"{url}/console/studio")
        await expect(page.locator("#findings .badge").first).to_have_text("would be taken")
        found = {"rule": "MANIFEST_INVALID", "level": "LEVEL_ERROR", "line": 4, "column": 3, "message": "no such field"}
        look.daemons.answer("LintBlueprint", {"findings": [found]})
        text = page.get_by_label("blueprint.yaml")
        await text.focus()
        await page.keyboard.type("x")
        await expect(page.locator("#findings .badge").first).to_have_text("would not be taken")
        assert look.daemons.wishes("LintBlueprint")[-1].document.count("x") > 1
        await page.keyboard.press("Control+k")
        await page.keyboard.type("4:3")
        await page.keyboard.press("Enter")
        await expect(text).to_be_focused()
        chosen = "e => e.value.slice(e.selectionStart, e.selectionEnd)"
        assert await text.evaluate(chosen) == "  name: bp-my-shop"
        async with page.expect_download() as told:
            await page.get_by_role("button", name="Take the file along").press("Enter")
        assert (await told.value).suggested_filename == "blueprint.yaml"
        await expect(page.get_by_role("button", name="Take the file along")).to_be_enabled()
