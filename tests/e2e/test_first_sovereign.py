"""The main job, from outside: a Sovereign comes to be and goes, whatever is killed meanwhile."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from catalyst_testkit.servers import need
from playwright.async_api import async_playwright, expect

from .calls import SELDOM, allowed, called
from .devs import EXAMPLE, VOUCHER, Dev, gaps
from .keys import CHROMIUM, Keys
from .tutorials import done, steps

ALIVE = ("create", "--file", str(EXAMPLE), "--voucher", VOUCHER, "--yes", "--output", "json")


def test_the_demonstration_proves_all_it_claims() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "catalyst_cli.demo"], capture_output=True, text=True, timeout=480, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    proof = json.loads(done.stdout.splitlines()[-1])
    assert set(proof) == {
        "sovereign", "state", "run_seconds", "steps", "components", "dns", "http_status", "events", "ledger_balanced",
        "lease", "leftovers", "dev_start_seconds", "pss_mib",
    }  # fmt: skip
    assert (proof["sovereign"], proof["state"], proof["http_status"]) == ("omantel", "ACTIVE", 200)
    assert proof["dns"]["dnssec"] is True
    assert proof["components"] > 20
    assert proof["leftovers"] == 0


def run_of(dev: Dev) -> str:
    return dev.until(lambda: _last_run(dev), 60, "the run began")


def _last_run(dev: Dev) -> str:
    rows = dev.api.get("/v1/sovereigns")["sovereigns"]
    return str(rows[0]["lastRun"]) if rows else ""


def reached(dev: Dev, run: str, step: str, states: tuple[str, ...] = ("SUCCEEDED",)) -> bool:
    rows = dev.api.pages(f"/v1/{run}/steps", "steps")
    return any(
        s["name"].rsplit("/", 1)[-1].startswith(step) and s["state"].removeprefix("STATE_") in states for s in rows
    )


def ended_well(dev: Dev, creating: Any) -> dict[str, Any]:
    out, err = creating.communicate(timeout=480)
    assert creating.returncode == 0, err[-3000:]
    one = json.loads(out)
    assert one["state"] == "STATE_ACTIVE"
    answer = asyncio.run(dev.resolver.resolve(f"console.{one['fqdn']}"))
    assert answer.secure, answer.why
    run = one["lastRun"]
    events = dev.api.pages(f"/v1/{run}/events", "events")
    assert [int(e["seq"]) for e in events] == list(range(1, len(events) + 1))
    return dict(one)


def heard(dev: Dev, until: str) -> list[dict[str, Any]]:
    """Every event from the first one to `until`; none where that was not heard yet."""
    rows = []
    for _, subject, data in dev.api.stream("/v1/stream", last="0", silence=2.0):
        rows.append(data)
        if subject == until:
            return rows
    return []


def once_each(dev: Dev) -> None:
    """Each resource of the cloud was made once, and each fact was told once."""
    ledger = dev.api.pages("/v1/sovereigns/omantel/ledger", "entries")
    names = [row["resourceName"] for row in ledger]
    assert len(names) == len(set(names))
    rows = dev.until(lambda: heard(dev, "catalyst.v1.continuum.lease.acquired"), 60, "the lease was told of")
    assert gaps(rows) == []
    told = [r["subject"] for r in rows]
    for subject in ("catalyst.v1.billing.order.paid", "catalyst.v1.provisioner.sovereign.activated"):
        assert told.count(subject) == 1


GOING = ("RUNNING", "WAITING", "SUCCEEDED")
DEATHS = (("provisioner", "infra"), ("pdm", "dns.commit"), ("nats", "enrol"), ("agent", "enrol"))
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
ALONE = [(one,) for one in DEATHS] if LONG else []
"""All four die in one run; in the long profile each also alone."""


@pytest.mark.chaos
@pytest.mark.parametrize("deaths", [DEATHS, *ALONE], ids=lambda deaths: "-".join(who for who, _ in deaths))
def test_a_run_goes_on_after_kill_9(dev: Dev, deaths: tuple[tuple[str, str], ...]) -> None:
    creating = dev.background("sovereign", *ALIVE)
    run = run_of(dev)
    for victim, step in deaths:
        dev.until(partial(reached, dev, run, step, GOING), 60, f"the run came to {step}")
        if victim == "agent":
            dev.until(dev.agents, 60, "there is an agent")[0].kill()
        else:
            os.kill(dev.pid(victim), signal.SIGKILL)
    ended_well(dev, creating)
    once_each(dev)
    an_application_runs(dev)


APP, IN_SANDBOX = "/v1/environments/omantel-prod/applications/cache", "accounts/*/servers/*/memory.json"


def an_application_runs(dev: Dev) -> None:
    """It is installed, runs on the Sovereign, goes on after `kill -9` of all who bring it there, and leaves no trace."""
    dev.api.post_resource("/v1/organizations", {"displayName": "Omantel"}, organizationId="omantel")
    dev.until(
        lambda: dev.api.get("/v1/organizations/omantel")["state"] == "STATE_ACTIVE", 60, "there is an Organization"
    )
    version = dev.api.get("/v1/catalog/blueprints/bp-valkey")["latestVersion"].rpartition("/")[2]
    wish = {"blueprint": "blueprints/bp-valkey", "blueprintVersion": version}
    dev.api.post_resource("/v1/environments/omantel-prod/applications", wish, applicationId="cache")
    first = dev.until(partial(running, dev), 90, "it runs")
    assert [one["cluster"] for one in first["placements"]] == ["sovereigns/omantel/clusters/sb-east-mgt-dev"]
    assert first["placements"][0]["simulated"] is True
    dev.api.patch(
        APP, {"config": {"architecture": "standalone"}}, query={"updateMask": "config", "etag": first["etag"]}
    )
    for victim in ("environment", "provisioner"):
        os.kill(dev.pid(victim), signal.SIGKILL)
    dev.until(dev.agents, 60, "there is an agent")[0].kill()
    second = dev.until(partial(running, dev, first["pin"]["commit"]), 120, "another commit of it runs")
    assert second["placements"][0]["commit"] == second["pin"]["commit"]
    assert (first["uid"], hosted(dev)) == (second["uid"], ["omantel-prod/cache"])
    dev.api.delete(APP, etag=second["etag"])
    dev.until(lambda: not dev.api.get("/v1/environments/omantel-prod/applications")["applications"], 120, "it is gone")
    assert hosted(dev) == [], "it was gone there before it is gone here"


def running(dev: Dev, but: str = "") -> dict[str, Any]:
    """The Application once it is active, at another commit than `but`."""
    one = dict(dev.api.get(APP))
    return one if one["state"] == "STATE_ACTIVE" and one["pin"]["commit"] != but else {}


def hosted(dev: Dev) -> list[str]:
    """What the simulated clusters hold beside the house."""
    found = [json.loads(file.read_text())["workloads"]["releases"] for file in dev.folder.rglob(IN_SANDBOX)]
    return sorted(key for releases in found for key in releases)


async def test_the_console_leads_from_the_sign_in_to_a_destroyed_sovereign_by_keys_alone(dev: Dev) -> None:
    code = await asyncio.to_thread(Path(dev.state["login_code_file"]).read_text)
    async with async_playwright() as p:
        browser = await p.chromium.launch(executable_path=need("chromium", package="chromium"), args=list(CHROMIUM))
        tabs = await browser.new_context()
        tabs.set_default_timeout(60_000)
        page = await tabs.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        await page.goto(f"{dev.state['gateway']}/console")
        keys = Keys(page)
        await keys.fill("Code", code)
        await keys.enter("**/console/sovereigns")
        await keys.command("New Sovereign", "**/console/new")
        await keys.command("Begin", "**/organization")
        await keys.fill("Name of the Organization", "Omantel")
        await keys.fill("Short name", "omantel")
        await keys.fill("Mailbox of the first administrator", "ops@omantel.example")
        await keys.enter("**/topology")
        await keys.enter("**/provider", at="Type of environment")
        await keys.choose("sandbox")
        await expect(page.get_by_label("Region")).to_have_value("east", timeout=60_000)
        await keys.pick("Size of the control plane", "sb8")
        await keys.pick("Size of the workers", "sb4")
        await keys.enter("**/credentials", at="Workers")
        await keys.choose("sandbox-simulated")
        await keys.enter("**/components")
        await keys.command("Next step", "**/domain")
        await expect(page.get_by_text("omantel.omani.works is free")).to_be_visible(timeout=60_000)
        await keys.enter("**/review", at="Name")
        await keys.fill("Voucher", VOUCHER)
        await keys.enter("**/runs/*")
        other = await tabs.new_page()
        await other.goto(page.url)
        await page.bring_to_front()
        run = page.url.partition("/console/")[2]
        await asyncio.to_thread(dev.until, partial(reached, dev, run, "infra", GOING), 60, "the run began")
        for daemon in ("provisioner", "gateway"):
            os.kill(dev.pid(daemon), signal.SIGKILL)
        graph = page.locator("#graph")
        for tab in (page, other):  # both by themselves, without a reload
            await expect(tab.locator("#graph")).to_have_attribute("data-state", "SUCCEEDED", timeout=240_000)
            await expect(tab.locator("#graph .step:not([data-state=SUCCEEDED], [data-state=SKIPPED])")).to_have_count(0)
        told = await page.locator("#events li").all_inner_texts()
        assert len(told) > 20
        await expect(other.locator("#events li")).to_have_text(told)
        await other.close()
        await keys.command("Go to Sovereigns", "**/console/sovereigns")
        await keys.command("Open omantel", "**/sovereigns/omantel")
        await keys.command("Destroy …", "**/plans/*")
        await keys.fill("Type omantel to destroy it", "omantel")
        await keys.enter("**/runs/*")
        await expect(graph).to_have_attribute("data-state", "SUCCEEDED", timeout=240_000)
        assert broken == []
        await browser.close()
    one = await asyncio.to_thread(dev.api.get, "/v1/sovereigns/omantel")
    assert one["state"] == "STATE_DESTROYED"
    assert dev.agents() == []


def demand_edges_as_they_are_called(dev: Dev) -> None:
    """Policies let through what is called and nothing else, once a Sovereign and an Organization have lived."""
    dev.api.get("/v1/catalog/plans")
    dev.api.get("/v1/namespaces/-/continuums")
    made = dev.command("org", "create", "edges")
    assert made.returncode == 0, made.stderr
    planned = dev.command("app", "install", "edges-prod/cache", "valkey@1.0.0", "--dry-run")
    assert "REQUEST_INVALID" not in planned.stderr, "it gets as far as the catalog"
    wanted = allowed() - SELDOM.keys()
    # A daemon that looks by itself does so in its own time.
    dev.until(lambda: called(dev) >= wanted, 60, f"each of {sorted(wanted)} is called")
    assert called(dev) <= allowed(), "a network policy of the chart would have cut this off"
    assert all(Path(tests).exists() for tests in SELDOM.values())


def test_the_first_tutorial_comes_out_as_it_says_and_doing_its_steps_twice_changes_nothing(lasting: Dev) -> None:
    dev = lasting
    *before, last = steps("first-sovereign")
    said = [done(dev, step) for step in before]
    assert '"server": "https://127.7.' in said[-1]
    first = dev.api.get("/v1/sovereigns/omantel")
    assert first["state"] == "STATE_ACTIVE"
    again = dev.command("sovereign", *ALIVE)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["lastRun"] == first["lastRun"]
    grants = json.loads(dev.command("access", "list", "omantel", "--output", "json").stdout)["grants"]
    ended = dev.command("access", "revoke", grants[0]["name"], "--yes", "--output", "json")
    assert json.loads(ended.stdout)["state"] in ("STATE_REVOKING", "STATE_REVOKED")
    for _ in range(2):
        done(dev, last)
        assert dev.api.get("/v1/sovereigns/omantel")["state"] == "STATE_DESTROYED"
    assert dev.agents() == []
    demand_edges_as_they_are_called(dev)
    if LONG:
        born = dev.command("sovereign", *ALIVE)
        assert born.returncode == 0, born.stderr
