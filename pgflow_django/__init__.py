"""Durable workflows for Django, on PostgreSQL alone.

Everything public is importable from here. Names that need models are loaded on first use, since
this package is imported before the app registry is ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pgflow_django.contracts import Example
from pgflow_django.exceptions import (
    InvalidSlug,
    InvalidStep,
    PermanentFailure,
    PgflowError,
    RetryAfter,
    RunCancelled,
    RunFailed,
    RunNotFound,
    RunTimedOut,
    StepExists,
    StepFunctionMissing,
    WorkflowExists,
    WorkflowNotFound,
)
from pgflow_django.registry import step_function

if TYPE_CHECKING:
    from pgflow_django import executor, flow_builder
    from pgflow_django.definitions.strict import read_strict
    from pgflow_django.flow_builder import flow_schema, repair_flow, validate_flow
    from pgflow_django.flows import Flow, step
    from pgflow_django.runs.explaining import explain_run
    from pgflow_django.runs.simulating import simulate_flow

__version__ = "0.1.0"

__all__ = [
    "Example",
    "Flow",
    "InvalidSlug",
    "InvalidStep",
    "PermanentFailure",
    "PgflowError",
    "RetryAfter",
    "RunCancelled",
    "RunFailed",
    "RunNotFound",
    "RunTimedOut",
    "StepExists",
    "StepFunctionMissing",
    "WorkflowExists",
    "WorkflowNotFound",
    "executor",
    "explain_run",
    "flow_builder",
    "flow_schema",
    "read_strict",
    "repair_flow",
    "simulate_flow",
    "step",
    "step_function",
    "validate_flow",
]

_LAZY = {
    "Flow": "pgflow_django.flows",
    "step": "pgflow_django.flows",
    "flow_schema": "pgflow_django.flow_builder",
    "repair_flow": "pgflow_django.flow_builder",
    "validate_flow": "pgflow_django.flow_builder",
    "read_strict": "pgflow_django.definitions.strict",
    "executor": "pgflow_django.executor",
    "explain_run": "pgflow_django.runs.explaining",
    "simulate_flow": "pgflow_django.runs.simulating",
    "flow_builder": "pgflow_django.flow_builder",
}


def __getattr__(name: str) -> Any:
    """Load a public name that needs the app registry."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_LAZY[name])
    return module if _LAZY[name].endswith(f".{name}") else getattr(module, name)
