"""Amounts between the contract and the domain."""

from catalyst.mesh.v1 import resources_pb2

from .domain.money import Money


def money(amount: Money) -> resources_pb2.Money:
    """An amount as the contract shows it."""
    return resources_pb2.Money(minor=amount.minor, currency=amount.currency)
