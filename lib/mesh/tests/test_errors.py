"""Refusals as statuses, there and back."""

from datetime import timedelta

import grpc
import pytest
from catalyst_mesh.errors import (
    DETAILS_KEY,
    DOMAIN,
    PASSING,
    InvalidRequest,
    explain,
    explain_status,
    to_status,
)
from catalyst_mesh.http_statuses import CASES, OF_CODE, OF_REASON, http_status
from catalyst_sdk import Code, Refused, Violation
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

VIOLATIONS = (Violation("spec.label", "must be lower case", "string.pattern"), Violation("", "both or none", "pair"))


def refusal(code: Code) -> Refused:
    kind = type("Held", (Refused,), {"code": code, "reason": "NAME_HELD", "message": "{name} is held"})
    made: Refused = kind(name="acme", until="noon", violations=VIOLATIONS, help_url="https://example.org/held")
    return made


def failed(status: status_pb2.Status, code: Code) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata(("x", "y"), (DETAILS_KEY, status.SerializeToString()))
    return grpc.aio.AioRpcError(
        grpc.StatusCode[code.name], grpc.aio.Metadata(), trailing, details=status.message, debug_error_string=""
    )


@pytest.mark.parametrize("code", Code)
def test_every_code_comes_back_as_it_went(code: Code) -> None:
    back = explain(failed(to_status(refusal(code)), code))
    assert (back.code, back.reason, back.message) == (code.name, "NAME_HELD", "acme is held")
    assert back.metadata == {"name": "acme", "until": "noon"}
    assert back.violations == VIOLATIONS
    assert back.http_status == OF_CODE[code.name]
    assert explain_status(to_status(refusal(code))) == back


@pytest.mark.parametrize("code", Code)
def test_each_kind_of_detail_stands_once(code: Code) -> None:
    status = to_status(refusal(code))
    kinds = [detail.TypeName() for detail in status.details]
    assert len(kinds) == len(set(kinds)) == 3 + (code in PASSING)
    assert ("google.rpc.BadRequest" in kinds) == (code is Code.INVALID_ARGUMENT)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, status.code) == (DOMAIN, code_pb2.Code.Value(code.name))


def test_a_status_without_details_is_read_too() -> None:
    bare = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="down", debug_error_string=""
    )
    back = explain(bare)
    assert (back.code, back.reason, back.message, back.http_status) == ("UNAVAILABLE", "", "down", 503)


def test_details_that_we_do_not_know_are_passed_over() -> None:
    status = to_status(refusal(Code.NOT_FOUND))
    status.details.insert(0, any_pb2.Any(type_url="type.googleapis.com/some.Thing", value=b"\xff"))
    assert explain_status(status).reason == "NAME_HELD"


@given(st.integers(0, 3000), st.text(max_size=2000))
def test_a_status_is_never_too_large_to_arrive(count: int, text: str) -> None:
    wrong = tuple(Violation(f"items[{n}].label", text, "string.pattern") for n in range(count))
    status = to_status(InvalidRequest(wrong))
    # gRPC's limit for trailing metadata is 8 KiB; the message travels beside the details, percent-encoded.
    assert len(status.SerializeToString()) < 7000
    back = explain_status(status)
    assert back.metadata["count"] == str(count)
    if count and len(back.violations) < count:
        assert back.violations[-1].description == f"{count - len(back.violations) + 1} more violations are not shown"


def test_a_field_that_breaks_two_rules_is_named_once_in_the_sentence() -> None:
    twice = InvalidRequest((Violation("label", "a"), Violation("label", "b"), Violation("", "c")))
    assert twice.sentence == "3 field(s) of the request are wrong: label, (request)"
    assert len(to_status(twice).details) == 2


def test_what_passes_says_when_to_try_again_and_a_quota_that_it_does_not_pass() -> None:
    class Busy(Refused):
        code, reason, message = Code.UNAVAILABLE, "BUSY", "busy"
        retry_after = timedelta(seconds=7)

    class Full(Refused):
        code, reason, message = Code.RESOURCE_EXHAUSTED, "FULL", "{owner} has all"
        retry_after = None

    assert explain_status(to_status(Busy())).retry_after == timedelta(seconds=7)
    assert explain_status(to_status(Full(owner="acme"))).retry_after is None
    kinds = {detail.TypeName() for detail in to_status(Full(owner="acme")).details}
    assert kinds == {"google.rpc.ErrorInfo", "google.rpc.QuotaFailure"}


def test_a_refusal_about_one_field_names_it() -> None:
    class TokenOdd(Refused):
        code, reason, message = Code.INVALID_ARGUMENT, "TOKEN_ODD", "the token of {name} is odd"
        field = "page_token"

    (only,) = explain_status(to_status(TokenOdd(name="acme"))).violations
    assert only == Violation("page_token", "the token of acme is odd", "TOKEN_ODD")


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        ("FAILED_PRECONDITION", "ACCOUNT_FROZEN", 412),
        ("FAILED_PRECONDITION", "NAME_QUARANTINED", 409),
        ("FAILED_PRECONDITION", "QUOTE_EXPIRED", 410),
        ("ABORTED", "CONTENDED", 409),
        ("ABORTED", "ETAG_MISMATCH", 412),
        ("UNAVAILABLE", "PAYMENT_UNAVAILABLE", 502),
        ("INVALID_ARGUMENT", "BODY_TOO_LARGE", 413),
        ("NOT_FOUND", "QUOTE_EXPIRED", 404),
        ("UNHEARD_OF", "", 500),
    ],
)
def test_a_code_has_one_status_but_in_the_cases_of_its_row(code: str, reason: str, status: int) -> None:
    assert http_status(code, reason) == status


def test_every_code_has_a_status_and_every_case_has_a_code() -> None:
    assert set(OF_CODE) == {code.name for code in Code}
    assert {status for cases in CASES.values() for status in cases} == set(OF_REASON.values())
