"""How much of a zone a source can have shown."""

import pytest
from catalyst_pool_domain_manager.domain.imports import SOURCES, Completeness, completeness

REDIRECT = ["URL301 of www.acme.example."]


@pytest.mark.parametrize("source", SOURCES)
def test_what_no_record_can_hold_makes_a_full_import_a_probable_one_and_a_partial_one_no_better(source: str) -> None:
    assert completeness(source, ()) is SOURCES[source]
    wanted = Completeness.PARTIAL if source == "probe" else Completeness.PROBABLE
    assert completeness(source, REDIRECT) is wanted
