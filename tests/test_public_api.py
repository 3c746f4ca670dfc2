"""What users import: names, signatures, async twins. A change here is a change for them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

import pgflow_django
from pgflow_django import executor, flow_builder
from pgflow_django.context import StepContext
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS, Option
from pgflow_django.exceptions import PgflowError
from pgflow_django.runs.status import RunStatus

NAMES = {
    *("Example", "Flow", "executor", "flow_builder", "step", "step_function", "validate_flow"),
    "flow_schema",
    "read_strict",
    *("explain_run", "simulate_flow"),
    *("PgflowError", "InvalidSlug", "InvalidStep", "PermanentFailure", "RetryAfter"),
    *("RunCancelled", "RunFailed", "RunNotFound", "RunTimedOut", "StepExists"),
    *("StepFunctionMissing", "WorkflowExists", "WorkflowNotFound", "repair_flow"),
}

CREATE_FLOW = (
    "workflow_slug, *, max_attempts=3, timeout=30, base_delay=1, queue='default', description='', "
    "input_schema=None, using=None"
)
ADD_STEP = (
    "workflow_slug, step_slug, depends_on=(), *, step_type='single', initial_tasks=None, "
    "max_attempts=None, timeout=None, base_delay=None, start_delay=0, function=None, params=None, "
    "queue=None, using=None"
)


def add_options(signature: str, options: Mapping[str, Option]) -> str:
    """The signature of the first release, with the options that came later behind the others."""
    later = [option for name, option in options.items() if f" {name}=" not in signature]
    added = "".join(f"{option.name}={option.default!r}, " for option in later)
    return signature.replace("using=None", f"{added}using=None")


FLOW_BUILDER = {
    "create_flow": add_options(CREATE_FLOW, FLOW_OPTIONS),
    "add_step": add_options(ADD_STEP, STEP_OPTIONS),
    "list_flows": "*, using=None",
    "get_flow": "workflow_slug, *, using=None",
    "delete_flow": "workflow_slug, *, force=False, using=None",
    "create_flow_from_spec": "document, *, origin='api', replace=False, using=None",
    "export_flow": "workflow_slug, *, using=None",
}
RUN = "input={}, {}timeout=None, poll_interval=None, using=None, on_start=None, on_tick=None"
EXECUTOR = {
    "execute_dynamic": f"workflow_slug, {RUN.format('{}', 'step_functions=None, *, ')}",
    "execute": f"flow, {RUN.format('{}', '*, ')}",
    "start_flow": "flow, input={}, *, key=None, using=None",
    "start_flows": "flow, inputs, *, using=None",
    "start_trial": (
        "draft, input={}, *, outputs=None, until=None, allow_effects=False, using=None"
    ),
    "wait": "run_id, timeout=None, *, poll_interval=None, using=None",
    "get_run_status": "run_id, *, using=None",
    "cancel_run": "run_id, *, reason='cancelled by request', by='', using=None",
    "pause_run": "run_id, *, reason='', by='', using=None",
    "resume_run": "run_id, *, reason='', by='', using=None",
    "retry_run": (
        "run_id, *, step_functions=None, timeout=None, step=None, index=None, hold=False, by='', "
        "using=None"
    ),
    "retry_now": "run_id, *, step=None, index=None, by='', using=None",
    "skip_step": (
        "run_id, step, *, index=None, downstream=False, hold=False, reason='', by='', using=None"
    ),
    "complete_step": (
        "run_id, step, output, *, index=None, hold=False, reason='', by='', using=None"
    ),
    "rerun": "run_id, *, input=same, from_step=None, key=None, by='', using=None",
    "drain": "queues=None, timeout=None, *, using=None",
}
#: `await` is a keyword.
TWINS = {"wait": "await_"}
#: No query, no twin; and a helper of the commands.
WITHOUT_TWIN = {"flow_schema", "is_valid_slug", "read_strict", "repair_flow", "validate_flow"}

FUNCTIONS = [
    *((flow_builder, name, signature) for name, signature in FLOW_BUILDER.items()),
    *((executor, name, signature) for name, signature in EXECUTOR.items()),
]
IDS = [name for _, name, _ in FUNCTIONS]


def signature_of(function: Any) -> str:
    """The parameters as they are written, without annotations."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()
    ]
    bare = signature.replace(parameters=parameters, return_annotation=signature.empty)
    return str(bare).removeprefix("(").removesuffix(")")


def functions_of(module: ModuleType) -> set[str]:
    """The functions, sync and async, that a module offers."""
    return {name for name in module.__all__ if not inspect.isclass(getattr(module, name))}


def test_the_public_names_are_these() -> None:
    assert set(pgflow_django.__all__) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(pgflow_django, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'flows_builder'"):
        getattr(pgflow_django, "flows_builder")  # noqa: B009 - mypy knows that it is not there


def test_the_package_can_be_imported_before_django_is_set_up() -> None:
    code = (
        "from pgflow_django import PgflowError, step_function; import pgflow_django as p; p.__all__"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env={})


@pytest.mark.parametrize(("module", "name", "signature"), FUNCTIONS, ids=IDS)
def test_a_public_function_has_this_signature(
    module: ModuleType, name: str, signature: str
) -> None:
    assert name in module.__all__
    assert signature_of(getattr(module, name)) == signature


@pytest.mark.parametrize(("module", "name", "signature"), FUNCTIONS, ids=IDS)
def test_a_public_function_has_an_async_twin_of_the_same_signature(
    module: ModuleType, name: str, signature: str
) -> None:
    twin = TWINS.get(name, f"a{name}")
    assert twin in module.__all__
    assert inspect.iscoroutinefunction(getattr(module, twin)) or inspect.iscoroutinefunction(
        getattr(module, twin).__call__
    )
    assert signature_of(getattr(module, twin)) == signature


@pytest.mark.parametrize(
    ("module", "expected"), [(flow_builder, FLOW_BUILDER), (executor, EXECUTOR)]
)
def test_a_module_offers_nothing_else(module: ModuleType, expected: dict[str, str]) -> None:
    twins = {TWINS.get(name, f"a{name}") for name in expected}
    assert functions_of(module) - WITHOUT_TWIN == expected.keys() | twins


def test_the_decorators_have_these_signatures() -> None:
    assert signature_of(pgflow_django.step_function) == (
        "name=None, *, atomic=False, input=None, params=None, output=None, map_only=False, "
        "tags=(), effects='unknown', examples=()"
    )
    assert signature_of(pgflow_django.step) == (
        "function=None, /, *, depends_on=(), atomic=False, **options"
    )
    assert signature_of(pgflow_django.Flow.start) == "input={}, **options"
    assert signature_of(pgflow_django.validate_flow) == "document, *, policy=None"
    assert signature_of(pgflow_django.flow_schema) == "*, strict=False, functions=None"
    assert signature_of(pgflow_django.explain_run) == "run_id, *, using=None"
    assert signature_of(pgflow_django.simulate_flow) == (
        "document_or_slug, input=unknown, *, outputs=None, using=None"
    )


def test_a_run_status_knows_these() -> None:
    known = set(RunStatus.__slots__) | {"percentage", "has_ended", "result"}
    assert known == {
        *("run_id", "workflow_slug", "status", "output", "error", "total_steps"),
        *("completed_steps", "waiting", "reasons", "is_trial", "percentage", "has_ended", "result"),
    }
    for name in known:
        assert hasattr(RunStatus, name)


def test_a_step_context_knows_these() -> None:
    public = {name for name in dir(StepContext) if not name.startswith("_")} - {"using"}
    assert public == {
        *("run_id", "workflow_slug", "step_slug", "task_index", "attempt", "max_attempts"),
        *("deadline", "heartbeat", "log", "progress", "flush", "cancelled"),
    }


def test_every_exception_has_a_code_of_its_own() -> None:
    classes = {name: getattr(pgflow_django, name) for name in NAMES}
    errors = [found for found in classes.values() if isinstance(found, type)]
    codes = [error.default_code for error in errors if issubclass(error, PgflowError)]
    assert len(codes) == len(set(codes)) == 13
