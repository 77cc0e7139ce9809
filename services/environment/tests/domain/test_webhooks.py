"""Webhooks as rules: where they may go, when they are tried, and what becomes of an address that takes nothing."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst_environment.domain import webhooks
from catalyst_environment.domain.signing import WebhookSecretInvalid, secret_of, signed, written
from catalyst_environment.domain.webhooks import (
    OFFSETS,
    Attempt,
    Delivery,
    DeliveryState,
    Disabled,
    Failed,
    State,
    Webhook,
    WebhookUrlRefused,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOMENT = timedelta(milliseconds=3)


def webhook(*types: str) -> Webhook:
    made = webhooks.create(0, "acme", "https://hooks.example/x", types or ("*",), id="wh-1", now=NOON)
    return made.state


def delivery() -> Delivery:
    return webhooks.begin(webhook(), "event-1", "catalyst.v1.billing.order.paid", "{}", NOON, NOON)


def answered(status: int, at: datetime = NOON, **more: timedelta) -> Attempt:
    return Attempt(at, status, MOMENT, **more)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "https://",
        "https://user@hooks.example/",
        "https://hooks.example/#x",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "https://10.0.0.7/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://224.0.0.1/",
        "https://0.0.0.0/",
        "https://localhost/",
        "https://pdm/",
        "https://a.localhost/",
        "https://billing.catalyst.svc/",
        "https://x.cluster.local./",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://hooks.example:http/",
        "https://[::1/",
        "nonsense",
    ],
)  # fmt: skip - one list
def test_an_address_that_is_not_the_world_s_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        webhooks.demand_url(url)


def test_an_address_of_the_world_passes_and_in_development_this_machine_too() -> None:
    assert webhooks.demand_url("https://Hooks.Example:8443/a?b=c") == "hooks.example"
    assert webhooks.demand_url("https://93.184.216.34/") == "93.184.216.34"
    assert webhooks.demand_url("http://127.0.0.1:9/", allow_private=True) == "127.0.0.1"


def test_a_star_at_the_end_hears_all_that_begin_so() -> None:
    one = webhook("catalyst.v1.billing.order.paid", "catalyst.v1.environment.*")
    assert one.hears("catalyst.v1.billing.order.paid")
    assert one.hears("catalyst.v1.environment.member.joined")
    assert not one.hears("catalyst.v1.billing.order.placed")
    assert webhook("*").hears("catalyst.v1.billing.order.placed")


def test_an_event_is_tried_ten_times_within_a_day_each_time_later() -> None:
    held, now, pauses = delivery(), NOON, []
    while held.state is DeliveryState.PENDING:
        held = webhooks.tried(held, answered(500, now), now, 0)
        pauses.append(held.due_at - now)
        now = max(now, held.due_at)
    assert (held.state, held.tries, now - NOON) == (DeliveryState.FAILED, 10, timedelta(days=1))
    assert pauses[:-1] == [later - earlier for earlier, later in itertools.pairwise(OFFSETS)]


def test_what_waited_for_days_is_not_tried_ten_times_in_a_minute() -> None:
    late = NOON + timedelta(days=5)
    held = webhooks.tried(webhooks.tried(delivery(), answered(500), late, 0), answered(500), late, 0)
    assert held.due_at == late + timedelta(minutes=4)


def test_a_receiver_says_when_it_wants_to_be_asked_again_within_a_day() -> None:
    held = webhooks.tried(delivery(), answered(429, retry_after=timedelta(minutes=10)), NOON, 1)
    assert held.due_at == NOON + timedelta(minutes=10)
    held = webhooks.tried(delivery(), answered(429, retry_after=timedelta(days=900)), NOON, 1)
    assert held.due_at == NOON + timedelta(days=1)


def test_what_was_taken_is_over_and_can_be_replayed_under_the_same_id() -> None:
    held = webhooks.tried(delivery(), answered(204), NOON, 0)
    assert held.state is DeliveryState.DELIVERED
    again = webhooks.replay(held, NOON + MOMENT)
    assert (again.id, again.state, again.tries, len(again.attempts)) == ("event-1", DeliveryState.PENDING, 0, 1)


def test_the_first_event_that_is_given_up_is_told_and_one_that_is_taken_ends_it() -> None:
    given_up = webhooks.tried(replace(delivery(), tries=9), answered(500), NOON, 0)
    failing = webhooks.judge(webhook(), given_up, NOON)
    assert (failing.state.state, [type(e) for e in failing.events]) == (State.FAILING, [Failed])
    assert webhooks.judge(failing.state, given_up, NOON).events == ()
    well = webhooks.judge(failing.state, webhooks.tried(delivery(), answered(200), NOON, 0), NOON).state
    assert (well.state, well.failing_since, well.reason) == (State.ACTIVE, None, "")


def test_an_address_that_is_gone_or_took_nothing_for_a_week_is_told_no_more() -> None:
    gone = webhooks.judge(webhook(), webhooks.tried(delivery(), answered(410), NOON, 0), NOON)
    assert (gone.state.state, [type(e) for e in gone.events]) == (State.DISABLED, [Disabled])
    failing = replace(webhook(), state=State.FAILING, failing_since=NOON)
    once_more = webhooks.tried(delivery(), answered(500), NOON, 0)
    assert webhooks.judge(failing, once_more, NOON + timedelta(days=6)).state.state is State.FAILING
    assert webhooks.judge(failing, once_more, NOON + timedelta(days=7)).state.state is State.DISABLED


def test_a_signature_is_that_of_the_published_example() -> None:
    """Secret, id, time, body and signature as Standard Webhooks and its libraries' own tests have them."""
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signed([secret], id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330, body=body) == expected
    other = secret_of(written(b"x" * 32))
    assert len(signed([other, secret], id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330, body=body).split()) == 2


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_%%%", "whsec_c2hvcnQ=", written(b"x" * 65)])
def test_a_secret_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(WebhookSecretInvalid):
        secret_of(text)
