"""What people do with the console, in Chromium: keys, narrow windows, and the rules of WCAG. One browser for all of it."""

import os

from playwright.async_api import expect

from . import filled
from .looking import NARROW, Looking, broken_rules, chromium, is_too_wide, opened, served

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
PAGES = ("/console/sovereigns", "/console/sign-in", "/console/nowhere", *filled.PAGES)
"""Pages that are looked at in light, in dark and at 320 pixels. A page that is added is named here."""


async def test_every_page_keeps_the_rules_of_wcag_in_light_and_dark_and_fits_a_narrow_window(look: Looking) -> None:
    one = {"name": "sovereigns/acme", "state": "STATE_ACTIVE", "fqdn": "acme.omani.works", "simulated": True}
    look.daemons.answer("ListSovereigns", {"sovereigns": [one]})
    filled.fill(look.daemons)
    found: dict[str, list[str]] = {}
    async with served(look) as url, chromium() as browser:
        for n, colors in enumerate(("light", "dark")):
            page = await opened(browser, look, url, color_scheme=colors)
            for path in PAGES if LONG else PAGES[n::2]:  # each in one of them by turns, in a long run in both
                await page.goto(url + path)
                found[f"{path} {colors}"] = await broken_rules(page)
        await page.set_viewport_size(NARROW)
        for path in PAGES:
            await page.goto(url + path)
            found[f"{path} narrow"] = ["it scrolls sideways"] if await is_too_wide(page) else []
    assert {where: broken for where, broken in found.items() if broken} == {}


async def test_keys_alone_lead_to_every_page(look: Looking) -> None:
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
