"""Flows from a sentence: a language model proposes, and nothing is stored, published or run."""

from __future__ import annotations

from pgflow_django.agents.generate.generating import agenerate_flow, generate_flow
from pgflow_django.agents.generate.proposals import Attempt, GenerationFailed, Proposal, Usage

__all__ = [
    "Attempt",
    "GenerationFailed",
    "Proposal",
    "Usage",
    "agenerate_flow",
    "generate_flow",
]
