from . import filled
from .looking import NARROW, Looking, chromium, opened, served


async def test_shots(look: Looking) -> None:
    filled.fill(look.daemons)
    look.daemons.answer(
        "PlanRun",
        {
            "planFingerprint": "f",
            "kind": "RUN_KIND_SWITCHOVER",
            "fromRegion": filled.EAST,
            "toRegion": filled.WEST,
            "checks": [
                {"name": "standby-current", "result": "RESULT_PASS", "critical": True, "message": "0.4 s behind"}
            ],
            "steps": [{"number": 1, "phase": "fence", "executor": filled.EAST, "budget": "3s"}],
        },
    )
    async with served(look) as url, chromium() as browser:
        page = await opened(browser, look, url, roles=("sovereign-admin", "billing-admin"))
        for n, path in enumerate(filled.PAGES):
            await page.goto(url + path)
            await page.screenshot(path=f"/tmp/shots/{n:02}.png", full_page=True)
        await page.goto(url + "/console/" + filled.SLOT)
        await page.get_by_role("button", name="Rehearse").click()
        await page.wait_for_load_state()
        await page.screenshot(path="/tmp/shots/rehearsal.png", full_page=True)
