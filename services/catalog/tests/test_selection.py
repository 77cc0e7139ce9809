"""Choosing components, as the wizard asks."""

import pytest
from catalyst_catalog.domain.refusals import (
    CoreComponent,
    MandatoryComponent,
    NotReleased,
    UnknownComponent,
    UnknownFamily,
)
from catalyst_catalog.domain.selection import Components
from catalyst_catalog.domain.universe import Universe
from hypothesis import given, settings
from hypothesis import strategies as st

CORTEX = "anthropic-adapter axon bge knative kserve langfuse librechat llm-gateway nemo-guardrails vllm"


def bp(words: str) -> tuple[str, ...]:
    return tuple(f"bp-{word}" for word in words.split())


def test_exactly_three_are_promoted(components: Components, seed: Universe) -> None:
    declared = {name for name in components.mandatory if seed.heads[name].tier.value == "mandatory"}
    assert components.mandatory - declared == set(bp("cnpg keycloak valkey"))
    assert (len(components.mandatory), len(components.minimum().selected)) == (28, 23)


def test_bge_brings_its_whole_family(components: Components) -> None:
    after = components.add(components.minimum().selected, ["bp-bge"])
    assert after.added == bp(CORTEX)
    assert after.unavailable == bp("ferretdb milvus neo4j")
    assert after.because["bp-vllm"] == ("bp-bge", "families/cortex", "bp-vllm")


def test_temporal_brings_only_itself(components: Components) -> None:
    assert components.add(components.minimum().selected, ["bp-temporal"]).added == bp("temporal")


def test_what_is_selected_already_triggers_nothing(components: Components) -> None:
    minimum = components.minimum().selected
    partial = (*minimum, *bp("bge kserve knative"))
    assert components.add(partial, ["bp-bge"]).added == ()
    assert components.add(partial, ["bp-temporal"]).added == bp("temporal")


def test_alloy_goes_with_opentelemetry(components: Components) -> None:
    after = components.remove(components.default().selected, ["bp-opentelemetry"])
    assert after.removed == bp("alloy opentelemetry")
    assert after.because["bp-alloy"] == bp("opentelemetry alloy")


def test_mandatory_ones_stay(components: Components) -> None:
    with pytest.raises(MandatoryComponent):
        components.remove(components.default().selected, ["bp-cnpg"])


def test_a_core_stays_while_another_member_does(components: Components) -> None:
    selected = components.add(components.minimum().selected, ["bp-bge"]).selected
    after = components.remove(selected, ["bp-llm-gateway"])
    assert after.removed == bp("anthropic-adapter librechat llm-gateway nemo-guardrails")
    with pytest.raises(CoreComponent) as refused:
        components.remove(selected, ["bp-kserve"])
    assert refused.value.metadata["family"] == "cortex"
    with pytest.raises(CoreComponent):  # kserve needs it
        components.remove(selected, ["bp-knative"])
    assert components.remove_family(selected, "cortex").selected == components.minimum().selected


def test_the_last_members_may_take_the_core_along(components: Components) -> None:
    selected = (*components.minimum().selected, *bp("bge kserve knative"))
    assert components.remove(selected, bp("bge kserve knative")).removed == bp("bge knative kserve")


def test_the_default_is_closed_and_has_no_optional_choice(components: Components) -> None:
    default = components.default()
    assert set(components.minimum().selected) < set(default.selected)
    assert not set(bp("librechat bge vllm temporal spire")) & set(default.selected)
    # Axon is recommended, and its family cannot be without its core.
    assert set(bp("axon kserve knative")) <= set(default.selected)


def test_planned_and_deferred_ones_need_a_release_or_an_explicit_choice(components: Components) -> None:
    with pytest.raises(NotReleased):
        components.add((), ["bp-milvus"])
    assert components.add(components.minimum().selected, ["bp-spire"]).added == bp("spire")


def test_strangers_are_refused(components: Components) -> None:
    with pytest.raises(UnknownComponent, match="bp-nothing"):
        components.add((), ["bp-nothing", "bp-bge"])
    with pytest.raises(UnknownComponent):
        components.remove(("bp-nothing",), ["bp-bge"])
    for change in (components.add_family, components.remove_family):
        with pytest.raises(UnknownFamily):
            change((), "nothing")


def test_a_family_comes_and_goes_as_a_whole(components: Components) -> None:
    minimum = components.minimum().selected
    after = components.add_family(minimum, "relay")
    assert after.added == bp("livekit matrix stunner")
    assert after.unavailable == bp("guacamole ntfy stalwart")
    assert components.remove_family(after.selected, "relay").selected == minimum
    assert components.remove_family(minimum, "pilot").removed == ()


selectable = "alloy bge temporal grafana librechat livekit matrix openmeter langfuse trivy falco vllm axon spire harbor"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(bp(selectable))), max_size=8))
@settings(deadline=None)
def test_a_selection_stays_closed_whatever_is_clicked(
    components: Components, seed: Universe, clicks: list[tuple[bool, str]]
) -> None:
    selected = components.minimum().selected
    for is_add, name in clicks:
        try:
            selected = (components.add if is_add else components.remove)(selected, [name]).selected
        except (MandatoryComponent, CoreComponent):
            continue
    assert set(components.minimum().selected) <= set(selected)
    for name in selected:
        assert {edge.blueprint for edge in seed.heads[name].edges} <= set(selected)
    if any(seed.heads[name].family == "cortex" for name in selected):
        assert "bp-kserve" in selected
