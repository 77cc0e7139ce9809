"""A person who has no mouse: fields are reached by Tab, everything else by the palette."""

from dataclasses import dataclass

from playwright.async_api import Locator, Page, expect

CHROMIUM = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-sandbox")  # fmt: skip
_FAR = 120
"""Presses of Tab after which something counts as out of reach."""


@dataclass
class Keys:
    """Presses keys on a page, and nothing else."""

    page: Page

    async def reach(self, wanted: Locator) -> None:
        """Press Tab until it has the focus."""
        await wanted.wait_for()
        for _ in range(_FAR):
            if await wanted.evaluate("e => e === document.activeElement"):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {wanted}")

    async def fill(self, label: str, text: str) -> None:
        """Type into a field."""
        await self.reach(self.page.get_by_label(label).first)
        await self.page.keyboard.press("Control+a")
        await self.page.keyboard.type(text)

    async def pick(self, label: str, beginning: str) -> None:
        """Choose from a list by its first letters."""
        field = self.page.get_by_label(label).first
        await self.reach(field)
        await self.page.keyboard.type(beginning)
        await expect(field).to_have_value(beginning, timeout=30_000)

    async def choose(self, label: str) -> None:
        """Choose one of several, with the space bar or the arrows."""
        wanted = self.page.get_by_role("radio", name=label)
        await wanted.wait_for()
        group = await wanted.get_attribute("name")
        first = self.page.locator(f"input[name='{group}']").first
        if await self.page.locator(f"input[name='{group}']:checked").count():
            first = self.page.locator(f"input[name='{group}']:checked")
        await self.reach(first)
        await self.page.keyboard.press("Space")
        for _ in range(20):
            if await wanted.is_checked():
                return
            await self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"no arrow leads to {label}")

    async def enter(self, to: str, *, at: str = "") -> None:
        """Send the form that has the focus, or the one of a field, and come to a page."""
        if at:
            await self.reach(self.page.get_by_label(at, exact=True).first)
            tag = await self.page.evaluate("document.activeElement.tagName")
            if tag == "SELECT":  # Enter opens it
                await self.reach(self.page.locator("#wish button.main"))
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(to)

    async def command(self, words: str, to: str) -> None:
        """Do something by the palette, and come to a page."""
        await self.page.keyboard.press("Control+k")
        await self.page.locator("#palette-input").wait_for()
        await self.page.keyboard.type(words)
        await expect(self.page.locator("#palette-list [aria-selected=true]")).to_contain_text(words, timeout=30_000)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(to)
