"""What the address of a tab asks for, read strictly: a reader is told what cannot be."""

from __future__ import annotations


class BadQuery(ValueError):
    """A parameter of an address that cannot be; its text says so to the reader."""
