"""Clouds that are made by OpenTofu or Terraform: the base class of their plugins, and what it is built of."""

from .changes import Part, Resource
from .cloud import TofuCloud
from .locks import Pin, pins
from .module import Leftover
from .stream import Diagnostic
from .verdicts import trailing_code

__all__ = ["Diagnostic", "Leftover", "Part", "Pin", "Resource", "TofuCloud", "pins", "trailing_code"]
