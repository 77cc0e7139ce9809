"""A voucher that exists and cannot be used now is answered with what it is worth, under a status that says so."""

from catalyst.billing.v1 import service_pb2
from google.protobuf.message import Message

GONE = 410


def status_of(answer: Message) -> int:
    """200, or 410 for a preview of a code that is not accepted now."""
    if isinstance(answer, service_pb2.PreviewVoucherResponse) and not answer.accepting:
        return GONE
    return 200
