"""What programs and language models do with flows: who they are, and what they may do."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgflow_django.agents.generate import (
        GenerationFailed,
        Proposal,
        agenerate_flow,
        generate_flow,
    )

__all__ = ["GenerationFailed", "Proposal", "agenerate_flow", "generate_flow"]


def __getattr__(name: str) -> Any:
    """Load a public name, which needs the app registry."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("pgflow_django.agents.generate"), name)
