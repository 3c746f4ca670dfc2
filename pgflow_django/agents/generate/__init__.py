"""Flows from a sentence: a language model proposes, and nothing is stored, published or run."""

from __future__ import annotations

from pgflow_django.agents.generate.asking import find_what_misses, name_model
from pgflow_django.agents.generate.generating import agenerate_flow, generate_flow
from pgflow_django.agents.generate.proposals import (
    Attempt,
    GenerationFailed,
    Proposal,
    Usage,
    make_provenance,
)

__all__ = [
    "Attempt",
    "GenerationFailed",
    "Proposal",
    "Usage",
    "agenerate_flow",
    "find_what_misses",
    "generate_flow",
    "make_provenance",
    "name_model",
]
