"""Contracts of step functions: what they read and return, declared by types or JSON Schemas.

Gateway layer, beside ``registry``: no ORM, no SQL. pydantic is imported with the first contract.
"""

from __future__ import annotations

from pgflow_django.contracts.contract import EFFECTS, SIDES, Contract, Effects, Example, declare
from pgflow_django.contracts.declared import Declaration, schema_of
from pgflow_django.contracts.parts import MismatchError

__all__ = [
    "EFFECTS",
    "SIDES",
    "Contract",
    "Declaration",
    "Effects",
    "Example",
    "MismatchError",
    "declare",
    "schema_of",
]
