"""What a simulated cluster shows to a browser. Pure: a host, a path and the releases in, a page out."""

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .releases import Release, Releases

BEHIND = {
    "": "bp-catalyst-platform",
    "admin": "bp-catalyst-platform",
    "api": "bp-catalyst-platform",
    "auth": "bp-keycloak",
    "console": "bp-catalyst-platform",
    "marketplace": "bp-catalyst-platform",
    "registry": "bp-harbor",
}
"""Component behind a name; a name that isn't here is served by the component of that name, if it is wished."""
STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #8884}"
)


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are about."""

    fqdn: str
    cluster: str
    region: str
    server: str
    releases: Releases


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    body: str
    type: str = "text/html; charset=utf-8"


def answer(site: Site, host: str, path: str) -> Page:
    """The page for a request."""
    if path == "/healthz":
        return Page(200, "ok (simulated)\n", "text/plain; charset=utf-8")
    if path == "/readyz":
        return _readiness(site)
    component = behind(site, host)
    if component is None:
        return _page(404, "No such site", site, f"<p>Nothing is served for {html.escape(host)} here.</p>")
    release = next((r for r in site.releases.values() if r.wish.name == component), None)
    if release is None or not release.is_ready:
        text = f"<p>{html.escape(component)} is {state(release)}. This page comes when it is ready.</p>"
        return _page(503, "Not ready yet", site, text + _table(site))
    return _page(200, host, site, f"<p>Served by {html.escape(component)}.</p>" + _table(site))


def behind(site: Site, host: str) -> str | None:
    """The component that serves a name below the Sovereign's; None: there is no such site."""
    name = host.rsplit(":", 1)[0].rstrip(".").lower()
    if not site.fqdn or not (name == site.fqdn or name.endswith(f".{site.fqdn}")):
        return None
    label = name[: -len(site.fqdn)].rstrip(".").split(".")[0]
    if label in BEHIND:
        return BEHIND[label]
    component = f"bp-{label}"
    return component if any(r.wish.name == component for r in site.releases.values()) else None


def state(release: Release | None) -> str:
    """A word for people."""
    if release is None:
        return "not wished"
    ready = release.condition("Ready")
    return "ready" if release.is_ready else f"{release.phase.value} ({ready.reason if ready else 'no condition'})"


def _readiness(site: Site) -> Page:
    states: Mapping[str, str] = {r.wish.name: state(r) for r in site.releases.values()}
    ready = bool(states) and all(release.is_ready for release in site.releases.values())
    body = json.dumps({"ready": ready, "simulated": True, "components": states}, sort_keys=True)
    return Page(200 if ready else 503, body + "\n", "application/json")


def _table(site: Site) -> str:
    return f"<table><tr><th>component</th><th>state</th></tr>{''.join(_rows(site))}</table>"


def _rows(site: Site) -> Iterator[str]:
    for release in sorted(site.releases.values(), key=lambda r: r.wish.name):
        yield f"<tr><td>{html.escape(release.wish.name)}</td><td>{html.escape(state(release))}</td></tr>"


def _page(status: int, title: str, site: Site, content: str) -> Page:
    name = html.escape(title)
    facts = html.escape(f"cluster {site.cluster}, region {site.region}, server {site.server}")
    return Page(
        status,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name} (simulated)</title>'
        f"<style>{STYLE}</style><h1>{name}</h1><p><strong>simulated</strong>: {facts}</p>{content}</html>\n",
    )
