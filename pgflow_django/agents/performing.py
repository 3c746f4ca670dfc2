"""Doing what a program asks for: counted, checked, done, told in one shape, and logged."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import router
from pydantic import ValidationError

from pgflow_django import jsonvalue
from pgflow_django.agents.access import AccessDenied, Principal
from pgflow_django.agents.calls import log_call
from pgflow_django.agents.operations import OPERATIONS, Operation
from pgflow_django.agents.policy import find_mode
from pgflow_django.agents.quotas import QuotaExceeded, count
from pgflow_django.definitions import bounds
from pgflow_django.definitions.answers import tell
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.schemas import to_pointer
from pgflow_django.exceptions import (
    DatabaseNotReady,
    DraftConflict,
    EditRefused,
    PgflowError,
    RunNotFound,
    RunNotRetryable,
    TrialNeedsConsent,
    WorkflowConflict,
    WorkflowExists,
    WorkflowNotFound,
)
from pgflow_django.models import WorkflowRun

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

logger = logging.getLogger("pgflow_django.agents")

#: By which status of HTTP an error is told; 422 where it is none of these.
_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (AccessDenied, 403),
    (WorkflowNotFound, 404),
    (RunNotFound, 404),
    (DraftConflict, 409),
    (WorkflowExists, 409),
    (WorkflowConflict, 409),
    (RunNotRetryable, 409),
    (QuotaExceeded, 429),
    (DatabaseNotReady, 503),
)
#: What counts as a run, beside the call itself.
_RUNS: Final = frozenset({"start_run", "start_trial"})
#: Problems and characters of an error that are told.
_PROBLEMS: Final = 20
_MESSAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a call, as JSON; ``status`` as HTTP has it."""

    value: dict[str, Any]
    status: int = 200

    @property
    def is_error(self) -> bool:
        """Whether nothing was done."""
        return self.status >= 400


def list_operations(principal: Principal) -> list[Operation]:
    """What this program may call here, as far as that does not depend on a flow or a run."""
    may_write = find_mode() == "write"
    return [
        operation
        for operation in OPERATIONS.values()
        if (may_write or operation.is_read_only) and principal.can_begin(operation.action)
    ]


def perform(
    principal: Principal, name: str, arguments: Mapping[str, Any], *, using: str | None = None
) -> Answer:
    """Do one operation of the table for a program; whatever is wrong is told in the answer."""
    alias = using or router.db_for_write(WorkflowRun)
    began = time.monotonic()
    code = ""
    try:
        answer = _perform(principal, name, arguments, alias)
    except PgflowError as error:
        answer, code = refuse(error), error.code
    except Exception as error:
        logger.exception("the operation %s failed", name)
        answer = _error(500, "This is a fault of the site: its log has it.", code="internal_error")
        code = f"internal_error: {type(error).__name__}"
    log_call(
        principal,
        name,
        **_find_subject(arguments, answer),
        code=code,
        milliseconds=round((time.monotonic() - began) * 1000),
        arguments=arguments,
        using=alias,
    )
    return answer


def _perform(principal: Principal, name: str, given: Mapping[str, Any], alias: str) -> Answer:
    count(principal.user, "calls", using=alias)
    operation = OPERATIONS.get(name)
    if operation is None:
        meant = did_you_mean(nearest_names(str(name), OPERATIONS))
        raise PgflowError(f'There is no operation "{name}".{meant}', code="unknown_operation")
    if not operation.is_read_only and find_mode() != "write":
        raise AccessDenied(
            f'{name} writes, and this site lets programs read only: PGFLOW["AGENTS"] says so.'
        )
    principal.require_access(operation.action)
    reading = bounds.read(dict(given))
    if reading.problem is not None or not reading.is_json:
        problem = reading.problem or Problem("invalid_arguments", "", "The arguments are no JSON.")
        raise _refusal(problem.message, problem.code, [problem])
    if fault := jsonvalue.find_problem(reading.value):
        raise PgflowError(f"The arguments can't be stored: {fault}", code="invalid_arguments")
    try:
        asked = operation.arguments.model_validate(reading.value)
    except ValidationError as error:
        raise _refuse_arguments(operation, error) from None
    if name in _RUNS:
        count(principal.user, "runs", using=alias)
    result = operation.call(principal, asked, alias)
    return Answer(result.model_dump(mode="json", by_alias=True, exclude_none=False))


def refuse(error: PgflowError) -> Answer:
    """The answer that tells of an error."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 422)
    return _error(status, str(error), code=error.code, **dict(_tell_more(error)))


def _error(status: int, message: str, *, code: str, **more: Any) -> Answer:
    message = jsonvalue.cut(message, _MESSAGE)
    return Answer({"error": {"code": code, "message": message, **more}}, status)


def _tell_more(error: PgflowError) -> Iterator[tuple[str, Any]]:
    """What an error knows beside its message."""
    problems = [each for each in error.problems if isinstance(each, Problem)]
    if problems:
        told = tell(problems)["problems"]
        yield "problems", told
        yield "pointer", told[0]["pointer"] if told else ""
    elif error.problems:
        yield "problems", list(error.problems)[:_PROBLEMS]
        yield "pointer", error.problems[0].get("pointer", "")
    if isinstance(error, EditRefused):
        if error.suggestions:
            yield "suggestions", error.suggestions
        if error.fix:
            yield "fix", error.fix
    if isinstance(error, QuotaExceeded) and error.retry_after:
        yield "retry_after", error.retry_after
    if isinstance(error, DraftConflict):
        version = getattr(error.draft, "version", None)
        yield "changes", list(error.messages)
        yield "next", [{"tool": "get_flow", "why": f"The draft is at version {version} now."}]
    if isinstance(error, TrialNeedsConsent):
        yield (
            "steps",
            [dict(zip(("step", "function", "effects"), row, strict=True)) for row in error.steps],
        )


def _refusal(message: str, code: str, problems: list[Problem]) -> PgflowError:
    error = PgflowError(message, code=code)
    error.problems = problems
    return error


def _refuse_arguments(operation: Operation, error: ValidationError) -> PgflowError:
    """What is wrong with arguments, each with its place and what was probably meant."""
    known = [field.alias or name for name, field in operation.arguments.model_fields.items()]
    problems = [_describe(details, known) for details in error.errors(include_url=False)]
    places = "; ".join(f"{each.pointer or '/'}: {each.message}" for each in problems[:5])
    return _refusal(
        f"{operation.name} was not called: {places}", "invalid_arguments", problems[:_PROBLEMS]
    )


def _describe(details: ErrorDetails, known: list[str]) -> Problem:
    pointer = to_pointer(details["loc"])
    message = details["msg"]
    suggestions: tuple[str, ...] = ()
    if details["type"] == "extra_forbidden":
        suggestions = tuple(nearest_names(str(details["loc"][-1]), known))
        message = f"there is no such argument.{did_you_mean(suggestions)}"
    return Problem("invalid_arguments", pointer[:500], message[:500], suggestions=suggestions)


def _find_subject(arguments: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """The flow and the run that a call was about, as far as it said."""
    document = arguments.get("document")
    slug = arguments.get("slug") or (
        document.get("workflow_slug") if isinstance(document, Mapping) else ""
    )
    run = answer.value.get("run_id") or arguments.get("run_id")
    try:
        run_id = UUID(str(run)) if run else None
    except ValueError:
        run_id = None
    return {"workflow_slug": slug if isinstance(slug, str) else "", "run_id": run_id}
