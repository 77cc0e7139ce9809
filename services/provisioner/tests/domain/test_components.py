"""The table of component states, row by row, and what never happens."""

import pytest
from catalyst_provisioner.domain.component_states import ComponentState, Condition, Release, Seen, judge
from hypothesis import given
from hypothesis import strategies as st

S = ComponentState
DIGEST = "sha256:1"


def ready(status: str, reason: str = "", message: str = "", generation: int = 1) -> Condition:
    return Condition("Ready", status, reason, message, generation)


def seen(*conditions: Condition, **changes: object) -> Seen:
    retries, suspended = bool(changes.pop("retries_remain", True)), bool(changes.pop("suspended", False))
    digest = str(changes.pop("digest", DIGEST))
    release = Release(1, 1, conditions, suspended, "1.0.0", digest, 0, retries)
    return Seen(release, DIGEST, **changes)  # type: ignore[arg-type]  # fields of Seen


BEHIND = ready("False", "DependencyNotReady", "dependency 'flux-system/a' is not ready")
TABLE = [
    (Seen(None), S.PENDING),
    (seen(), S.PENDING),
    (seen(ready("True"), is_silent=True), S.UNKNOWN),
    (seen(ready("True"), suspended=True), S.PENDING),
    (Seen(Release(2, 1, (ready("True"),), digest=DIGEST), DIGEST, True), S.INSTALLING),
    (seen(ready("False", "InstallFailed"), Condition("Stalled", "True", "RetriesExceeded")), S.FAILED),
    (seen(ready("True"), probe_passed=True), S.READY),
    (seen(ready("True")), S.INSTALLED),
    (seen(ready("True"), probe_passed=False), S.INSTALLED),
    (seen(ready("True"), probe_passed=False, was_ready=True), S.DEGRADED),
    (seen(ready("True"), probe_passed=True, digest="sha256:2"), S.INSTALLED),
    (seen(BEHIND), S.PENDING),
    (seen(ready("False", "", "dependency 'a/b' is not ready")), S.PENDING),
    (seen(BEHIND, failed_ancestor="bp-a"), S.BLOCKED),
    (seen(ready("False", "InstallFailed")), S.INSTALLING),
    (seen(ready("False", "UpgradeFailed"), retries_remain=False), S.FAILED),
    (seen(ready("False", "Progressing")), S.INSTALLING),
    (seen(ready("Unknown", "Whatever")), S.INSTALLING),
    (seen(ready("False", "Strange"), Condition("Reconciling", "True")), S.INSTALLING),
    (seen(ready("False", "Strange")), S.DEGRADED),
]


@pytest.mark.parametrize(("given_", "state"), TABLE, ids=[str(i) for i in range(len(TABLE))])
def test_a_row_of_the_table(given_: Seen, state: ComponentState) -> None:
    assert judge(given_).state is state


def test_the_cause_is_the_failure_and_not_the_roll_back_that_hid_it() -> None:
    failed = Condition("Released", "False", "UpgradeFailed", "the hook timed out", 1, since=5.0)
    verdict = judge(seen(ready("False", "RollbackSucceeded", "rolled back"), failed))
    assert verdict.message == "the hook timed out"


conditions = st.lists(
    st.builds(
        Condition,
        st.sampled_from(["Ready", "Stalled", "Reconciling", "Released", "TestSuccess"]),
        st.sampled_from(["True", "False", "Unknown"]),
        st.sampled_from(["", "InstallFailed", "Progressing", "DependencyNotReady", "Odd"]),
        st.text(max_size=5),
        st.integers(0, 3),
    ),
    max_size=4,
)
releases = st.builds(
    Release, st.integers(1, 3), st.integers(0, 3), conditions.map(tuple), st.booleans(), st.just("1"),
    st.sampled_from([DIGEST, "sha256:2", ""]), st.integers(0, 3), st.booleans(),
)  # fmt: skip


@given(st.none() | releases, st.none() | st.booleans(), st.booleans(), st.booleans())
def test_ready_is_only_ever_read_off_a_current_report(
    release: Release | None, probe: bool | None, was_ready: bool, silent: bool
) -> None:
    verdict = judge(Seen(release, DIGEST, probe, was_ready, silent))
    if silent:
        assert verdict.state is S.UNKNOWN
    if verdict.state is S.READY:
        assert release is not None
        assert not silent
        assert probe
        assert release.digest == DIGEST
        found = release.condition("Ready")
        assert found is not None
        assert found.status == "True"
        assert (found.observed_generation or release.observed_generation) >= release.generation
