"""Hidden dependencies: a component that uses a kind of another one which it does not say it needs.

Such a chart often looks whether the kind is served, and leaves out what it would have made where it is not: installed first, it
stands without its database and says nothing.
"""

from collections.abc import Mapping

from catalyst_sdk.cloud import Finding, Severity

from .locks import Lock, Traits, ancestors

CODE = "component.hidden_dependency"
PATH = "spec.components"


def findings(lock: Lock, traits: Mapping[str, Traits]) -> list[Finding]:
    """One for each kind that a component uses, and that nothing provides which is there before it."""
    needs = {component.name: component.needs for component in lock.components}
    providers: dict[str, list[str]] = {}
    for name in needs:
        for kind in traits.get(name, Traits()).provides:
            providers.setdefault(kind, []).append(name)
    found = []
    for name in needs:
        before = {name} | ancestors(name, needs)
        for kind in traits.get(name, Traits()).uses:
            if not before & set(providers.get(kind, ())):
                found.append(_finding(name, kind, providers.get(kind, [])))
    return found


def _finding(name: str, kind: str, providers: list[str]) -> Finding:
    metadata = {"component": name, "kind": kind, "providers": ", ".join(providers)}
    if not providers:
        text = f"{name} uses {kind}, which none of the components provides"
        return Finding(CODE, Severity.ERROR, PATH, text, "include what provides it, or leave it out", metadata)
    text = (
        f"{name} uses {kind} of {metadata['providers']} and does not say that it needs it, so it may be installed first"
    )
    remedy = "have its Blueprint depend on it; retry its step should it come up without"
    return Finding(CODE, Severity.WARNING, PATH, text, remedy, metadata)
