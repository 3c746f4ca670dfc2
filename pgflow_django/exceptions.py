"""Every error of pgflow_django. Each has a stable ``code`` (the guide's atom as a string).

PgflowError
├── InvalidSlug                 invalid_workflow_slug, invalid_step_slug
├── InvalidWorkflow             a flow's own options: invalid_max_attempts, invalid_timeout, …
├── InvalidStep                 a step's options: see its subclasses
│   ├── MissingDependencies     missing_dependencies
│   ├── DuplicateDependency     duplicate_dependency
│   ├── SelfDependency          self_dependency
│   ├── CycleDetected           cycle_detected
│   ├── MapStepConstraint       map_step_constraint_violation
│   └── InvalidStepOption       invalid_step_type, invalid_initial_tasks, invalid_timeout, …
├── InvalidDocument             invalid_document: a flow document with problems
├── WorkflowNotFound            workflow_not_found
├── WorkflowExists              workflow_already_exists
├── StepExists                  duplicate_step_slug
├── WorkflowConflict            workflow_has_active_runs, workflow_has_no_steps,
│                               workflow_inactive, workflow_origin_conflict
├── EditRefused                 an edit of a draft: nothing_to_undo, missing_step, …
├── DraftConflict               draft_conflict: somebody else has changed the draft
├── StepFunctionMissing         missing_step_functions
├── InvalidInput                invalid_input, invalid_key, invalid_outputs, input_too_large,
│                               missing_step, type_violation
├── TrialNeedsConsent           trial_needs_consent: steps of a trial change something
├── InvalidOutput               output_not_json, output_too_large
├── ContractBroken              invalid_step_input, invalid_step_params, invalid_step_output,
│                               input_unresolved
├── RunError                    no output to wait for: see its subclasses
│   ├── RunFailed               run_failed
│   ├── RunTimedOut             run_timed_out
│   ├── RunCancelled            run_cancelled
│   ├── RunNotFound             run_not_found
│   ├── RunNotRetryable         run_not_retryable
│   ├── ActionRefused           what is asked of a run is for nothing: run_has_ended
│   └── WaitRefused             wait_refused: the run is part of the caller's own transaction
├── StepTimeout                 step_timeout
├── TransactionMisused          transaction_misused: what a step wrote can't be kept
├── DatabaseNotReady            database_not_ready: no server, no pgmq, migrations not applied
├── LeaseLost                   lease_lost: away for so long that others got this process's work
├── PermanentFailure            raised by a step: do not try again
└── RetryAfter                  raised by a step: try again after so many seconds
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID


class PgflowError(Exception):
    """Base of all errors here.

    ``code`` is stable and machine-readable; ``str(error)`` says what was wrong, where, and
    how to fix it.
    """

    default_code: ClassVar[str] = "pgflow_error"
    #: All that was wrong with a flow, a step or an input, where that is what was wrong: as
    #: ``Problem``; of an attempt as ``{"pointer", "message"}``.
    problems: Sequence[Any] = ()

    def __init__(
        self, message: str = "", *, code: str | None = None, problems: Sequence[Any] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        if problems:
            self.problems = list(problems)


class InvalidSlug(PgflowError, ValueError):
    """A flow's or step's slug breaks the slug rule."""

    default_code = "invalid_workflow_slug"


class InvalidWorkflow(PgflowError, ValueError):
    """An option of a flow has the wrong type or is out of range."""

    default_code = "invalid_workflow"


class InvalidStep(PgflowError, ValueError):
    """A step that may not be added as it is."""

    default_code = "invalid_step"


class MissingDependencies(InvalidStep):
    """A step waits for steps that the flow does not have."""

    default_code = "missing_dependencies"


class DuplicateDependency(InvalidStep):
    """A step names one dependency twice."""

    default_code = "duplicate_dependency"


class SelfDependency(InvalidStep):
    """A step waits for itself."""

    default_code = "self_dependency"


class CycleDetected(InvalidStep):
    """Steps wait for one another in a circle."""

    default_code = "cycle_detected"


class MapStepConstraint(InvalidStep):
    """A map step has more than one dependency."""

    default_code = "map_step_constraint_violation"


class InvalidStepOption(InvalidStep):
    """A step's option has the wrong type or is out of range."""

    default_code = "invalid_step_option"


class InvalidDocument(PgflowError, ValueError):
    """A flow document with problems; ``problems`` lists them all."""

    default_code = "invalid_document"


class WorkflowNotFound(PgflowError, LookupError):
    """No flow has this slug."""

    default_code = "workflow_not_found"


class WorkflowExists(PgflowError):
    """The slug is taken."""

    default_code = "workflow_already_exists"


class StepExists(PgflowError):
    """The flow has a step of this name already."""

    default_code = "duplicate_step_slug"


class WorkflowConflict(PgflowError):
    """The flow's present state does not allow what was asked."""

    default_code = "workflow_conflict"


class EditRefused(PgflowError, ValueError):
    """An edit of a draft that was not made; the draft is as it was.

    ``field`` is the argument that it is about (``""`` for none), ``suggestions`` are names that
    were probably meant, and ``fix`` is an edit that would do: ``{"op", "arguments", "label"}``.
    """

    default_code = "edit_refused"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        field: str = "",
        suggestions: Sequence[str] = (),
        fix: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.field = field
        self.suggestions = list(suggestions)
        self.fix = fix


class DraftConflict(PgflowError):
    """Somebody else has changed the draft since its ``version`` was read; nothing was changed.

    ``draft`` is the draft as it is now, ``messages`` say what was done since, oldest first, and
    ``edited_by`` who was the last.
    """

    default_code = "draft_conflict"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        draft: Any = None,
        messages: Sequence[str] = (),
        edited_by: str = "",
    ) -> None:
        super().__init__(message, code=code)
        self.draft = draft
        self.messages = list(messages)
        self.edited_by = edited_by


class StepFunctionMissing(PgflowError, LookupError):
    """Steps have no function; ``missing`` names them all, as ``(step slug, function name)``."""

    default_code = "missing_step_functions"

    def __init__(
        self, message: str = "", *, code: str | None = None, missing: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message, code=code)
        self.missing = list(missing)


class InvalidInput(PgflowError, ValueError):
    """A run input that the engine can't take."""

    default_code = "invalid_input"


class TrialNeedsConsent(PgflowError):
    """A trial would call functions that change something, or don't say whether they do.

    ``steps`` names them all, as ``(step slug, function name, effects)``.
    """

    default_code = "trial_needs_consent"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        steps: Sequence[tuple[str, str, str]] = (),
    ) -> None:
        super().__init__(message, code=code)
        self.steps = list(steps)


class InvalidOutput(PgflowError, ValueError):
    """A step returned what can't be stored as JSON."""

    default_code = "output_not_json"


class ContractBroken(PgflowError, ValueError):
    """A value of a step does not fit what its function declares.

    ``problems`` are the first places, as ``{"pointer", "message"}``. What a function returns may
    fit the next time; all else would be the same again.
    """

    default_code = "invalid_step_input"

    @property
    def is_permanent(self) -> bool:
        """Whether another attempt would end in the same way."""
        return self.code != "invalid_step_output"


class RunError(PgflowError):
    """Base of the ways in which waiting for a run ends without an output."""

    def __init__(
        self, message: str = "", *, code: str | None = None, run_id: UUID | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.run_id = run_id


class RunFailed(RunError):
    """The run failed; the attributes tell which attempt of which task, and why.

    ``problems`` are the places at which a value broke a contract, as ``{"pointer", "message"}``.
    """

    default_code = "run_failed"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        run_id: UUID | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, run_id=run_id)
        error = error or {}
        self.step_slug: str | None = error.get("step_slug")
        self.task_index: int | None = error.get("task_index")
        self.attempt: int | None = error.get("attempt")
        self.error_code: str | None = error.get("code")
        self.error_type: str | None = error.get("error_type")
        self.error_message: str | None = error.get("error_message")
        self.traceback: str | None = error.get("traceback")
        self.problems = error.get("problems") or ()


class RunTimedOut(RunError, TimeoutError):
    """The time that the caller allowed is over."""

    default_code = "run_timed_out"


class RunCancelled(RunError):
    """The run was cancelled."""

    default_code = "run_cancelled"


class RunNotFound(RunError, LookupError):
    """No run has this id; ``why`` ends the sentence that says so."""

    default_code = "run_not_found"

    def __init__(self, run_id: object, why: str = "") -> None:
        known, shown = (run_id, str(run_id)) if isinstance(run_id, UUID) else (None, repr(run_id))
        super().__init__(f"there is no run {shown}{why}", run_id=known)
        self._given = (run_id, why)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given


class WaitRefused(RunError):
    """Waiting here could never end: in this transaction nobody's work on the run can be seen."""

    default_code = "wait_refused"


class RunNotRetryable(RunError):
    """Only failed and cancelled runs can be taken up again."""

    default_code = "run_not_retryable"


class ActionRefused(RunError):
    """What somebody asked of a run or of one of its steps can't be done; nothing was."""

    default_code = "run_has_ended"


class StepTimeout(PgflowError, TimeoutError):
    """A step function ran longer than its step's timeout."""

    default_code = "step_timeout"


class TransactionMisused(PgflowError):
    """A step left a transaction in a state in which what it wrote can't be kept."""

    default_code = "transaction_misused"


class DatabaseNotReady(PgflowError):
    """The database can't be reached, lacks pgmq, or lacks our migrations."""

    default_code = "database_not_ready"


class LeaseLost(PgflowError):
    """This process was silent for longer than its lease, and its work went to others."""

    default_code = "lease_lost"


class PermanentFailure(PgflowError):
    """Raised by a step function: the task fails at once, without further attempts."""

    default_code = "permanent_failure"


class RetryAfter(PgflowError):
    """Raised by a step function: try again after ``seconds`` (a number, 0 or more).

    The attempt counts; when it was the last one, the task fails with ``message``.
    """

    default_code = "retry_after"
    #: For subclasses whose own ``__init__`` does not set it: the usual delay.
    seconds: float | None = None

    def __init__(self, seconds: float, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message or f"asked for another try after {seconds} s", code=code)
        self.seconds = float(seconds)


class StepInterrupted(BaseException):
    """Raised into a thread to stop its step function; no ``except Exception`` swallows it."""
