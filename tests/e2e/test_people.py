"""People who are no operators, in a browser and by keys alone: a buyer from the first look to a running app, and an invited
person from the invitation to the day of leaving."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from catalyst_testkit.servers import need
from playwright.async_api import Browser, Page, async_playwright, expect

from .devs import Dev
from .keys import CHROMIUM, Keys

PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)  # what is expected here comes by an event, on a machine that may be busy


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    async with async_playwright() as p:
        browser = await p.chromium.launch(executable_path=need("chromium", package="chromium"), args=list(CHROMIUM))
        yield browser
        await browser.close()


async def newcomer(browser: Browser, broken: list[str]) -> Page:
    """A window of its own, with nobody signed in; what breaks in its pages is written down."""
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    page.on("pageerror", lambda error: broken.append(str(error)))
    return page


async def signs_in(page: Page, dev: Dev, person: str, to: str) -> None:
    """From the sign-in page through the provider and back, by an address."""
    keys = Keys(page)
    await keys.command("Sign in by the provider", "**/authorize?*")
    await keys.fill("Code", await asyncio.to_thread(Path(dev.state["login_code_file"]).read_text))
    await keys.fill("As", person)
    await keys.enter(to)


def active(dev: Dev, org: str) -> bool:
    return bool(dev.api.get(f"/v1/organizations/{org}")["state"] == "STATE_ACTIVE")


async def test_a_buyer_comes_from_the_first_look_to_a_running_app_by_keys_alone(shared: Dev) -> None:
    dev, broken = shared, list[str]()
    # What is sold is read from a source; the shop's own page says "coming soon" until it was.
    await asyncio.to_thread(
        dev.until, lambda: dev.api.get("/v1/catalog/apps/uptime-kuma")["deployable"], 60, "it is sold"
    )
    async with browsing() as browser:
        page = await newcomer(browser, broken)
        keys = Keys(page)
        await page.goto(f"{dev.state['gateway']}/console/shop")
        await keys.choose("M 9.000 OMR")
        await keys.reach(page.get_by_role("checkbox", name="Uptime Kuma"))
        await page.keyboard.press("Space")
        await keys.command("Sign in and go on", "**/console/sign-in?*")
        await signs_in(page, dev, "bea@shop.example", "**/console/shop?*")
        await expect(page.get_by_role("checkbox", name="Uptime Kuma")).to_be_checked()
        await keys.fill("Name of the Organization", "Bea's Bakery")
        await keys.fill("Short name", "bakery")
        await keys.enter("**/console/shop?*org=bakery*")
        await expect(page.get_by_role("checkbox", name="Uptime Kuma")).to_be_checked()
        await asyncio.to_thread(dev.until, partial(active, dev, "bakery"), 60, "the Organization is there")
        await keys.command("Price it", "**/quotes/*")
        await keys.command("Order it", "**/orders/*")
        # The fake provider pays by itself after two seconds; the page goes on without a key.
        await expect(page.get_by_text("It is paid.")).to_be_visible()
        await keys.reach(page.get_by_role("link", name="bakery", exact=True).last)
        await keys.enter("**/console/organizations/bakery")
        await keys.command("Open bakery-prod", "**/console/environments/bakery-prod")
        await expect(page.get_by_text("uptime-kuma").first).to_be_visible()
    assert broken == []


async def test_an_invited_person_comes_in_sees_what_is_theirs_and_nothing_else_and_leaves(shared: Dev) -> None:
    dev, broken = shared, list[str]()
    for org in ("guild", "guild-next-door"):
        await asyncio.to_thread(dev.api.post_resource, "/v1/organizations", {"displayName": org}, organizationId=org)
        await asyncio.to_thread(dev.until, partial(active, dev, org), 60, "the Organization is there")
    async with browsing() as browser:
        host, guest = await newcomer(browser, broken), await newcomer(browser, broken)
        console = f"{dev.state['gateway']}/console"
        await host.goto(f"{console}/organizations/guild/people")
        keys = Keys(host)
        await keys.fill("Code", await asyncio.to_thread(Path(dev.state["login_code_file"]).read_text))
        await keys.enter("**/organizations/guild/people")
        await keys.fill("Address", "bo@guild.example")
        await keys.command("Invite", "**/organizations/guild/people")
        told = host.locator(".note pre")
        address, token = await told.nth(0).inner_text(), await told.nth(1).inner_text()
        await guest.goto(address)
        await signs_in(guest, dev, "bo@guild.example", "**/invitations/*")
        keys = Keys(guest)
        await keys.fill("Token", token)
        await keys.enter("**/console/organizations/guild")
        await expect(host.locator("#members table").first).to_contain_text(
            "bo@guild.example"
        )  # without a key at the host's
        await keys.command("Go to Organizations", "**/console/organizations")
        await expect(guest.locator("#rows tbody tr")).to_have_count(1)
        await guest.goto(f"{console}/organizations/guild-next-door")
        await expect(guest.locator("main")).to_contain_text("403 Forbidden")
        await guest.goto(f"{console}/organizations/guild/people")
        await expect(guest.get_by_role("heading", name="Invite somebody")).to_have_count(0)
        await keys.reach(guest.locator("summary", has_text="Leave guild"))
        await guest.keyboard.press("Enter")
        await keys.command("Leave the Organization", "**/console/organizations")
        await expect(guest.get_by_text("You belong to no Organization yet.")).to_be_visible()
        await guest.goto(f"{console}/organizations/guild")
        await expect(guest.locator("main")).to_contain_text("403 Forbidden")
        await expect(host.locator("#members table").first).not_to_contain_text("bo@guild.example")
        await guest.goto(address)
        await keys.fill("Token", token)
        await guest.keyboard.press("Enter")
        await expect(guest.locator(".refused")).to_be_visible()
    assert broken == []
