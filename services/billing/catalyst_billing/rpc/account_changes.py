"""What an update may change of an account: whom invoices address, and tax data."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from catalyst.billing.v1 import resources_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from ..domain.accounts import BillingAccount, Contact, TaxProfile
from . import masks

_CONTACT = ("display_name", "email", "address_lines", "region_code")
_TAX = ("tax_id", "exempt")
CHANGEABLE = frozenset({
    "contact", "tax", *(f"contact.{field}" for field in _CONTACT), *(f"tax.{field}" for field in _TAX)
})  # fmt: skip
EXEMPT = frozenset({"tax.exempt"})


def wanted(mask: FieldMask, wish: pb.BillingAccount) -> frozenset[str]:
    """The single fields to take over. Raises InvalidRequest."""
    paths = set(masks.wanted(mask, wish, CHANGEABLE))
    found = {path for path in paths if "." in path}
    if "contact" in paths:
        found |= {f"contact.{field}" for field in _CONTACT}
    if "tax" in paths:
        # Who may not decide about exemption can still write the rest of it, as long as it says nothing about that.
        found |= {"tax.tax_id"} | (EXEMPT if wish.tax.exempt or "tax.exempt" in paths else set())
    return frozenset(found)


def changed(account: BillingAccount, wish: pb.BillingAccount, paths: Collection[str]) -> tuple[Contact, TaxProfile]:
    """Contact and tax data after an update."""
    given: dict[str, Any] = {field: getattr(wish.contact, field) for field in _CONTACT if f"contact.{field}" in paths}
    if "address_lines" in given:
        given["address_lines"] = tuple(given["address_lines"])
    tax: dict[str, Any] = {field: getattr(wish.tax, field) for field in _TAX if f"tax.{field}" in paths}
    return replace(account.contact, **given), replace(account.tax, **tax)
