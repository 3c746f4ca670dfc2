"""What to do about a run that has failed: a table from the code of its error to actions.

A retry keeps the version that the run is pinned to. So it is offered where code, or the world, may
be another one by then, and never where the definition is at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pgflow_django.choices import TRIAL_VERSION
from pgflow_django.runs.explanation import MAX_NAMES, Action
from pgflow_django.runs.why.reason import Reason
from pgflow_django.storage.trouble import manage_command, worker_command

Kind = Literal["retry", "edit", "start", "doctor", "workers"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What actions are made of. ``newest`` is the flow's version now, ``None`` if it is gone."""

    run_id: UUID
    flow: str
    version: int
    newest: int | None
    is_code: bool
    has_caller_functions: bool
    step: str
    function: str
    using: str
    #: Of a trial: whether there is a draft or a flow of its name, and whether it needed consent.
    is_stored: bool = True
    has_effects: bool = False


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do, and why; ``{step}`` and ``{function}`` are those that failed."""

    kind: Kind
    why: str
    certain: bool = False


_START_ANEW = "A new run takes the flow as it is then; a retry would keep version {version}."

#: By the code of a run's error.
ADVICE: Mapping[str, Sequence[Advice]] = {
    "step_failed": [
        Advice("retry", "Once {function} is mended and deployed, or what it needs is there again.")
    ],
    "step_timeout": [
        Advice("edit", 'Give step "{step}" a longer timeout, or less to do.'),
        Advice("start", _START_ANEW),
        Advice("retry", "If {function} was slow this once only."),
    ],
    "output_not_json": [
        Advice("retry", "Once {function} is mended and deployed: it must return JSON.")
    ],
    "output_too_large": [
        Advice(
            "retry", "Once {function} stores what is large elsewhere, and returns a reference."
        )
    ],
    "invalid_step_input": [
        Advice("edit", 'Correct where step "{step}" has its input from: see the places.'),
        Advice("start", f"{_START_ANEW} If the run's input was wrong, correct that."),
        Advice("retry", "If {function} declares too little, once it is mended and deployed."),
    ],
    "invalid_step_params": [
        Advice("edit", 'Correct the params of step "{step}": see the places.'),
        Advice("start", _START_ANEW),
    ],
    "invalid_step_output": [
        Advice("retry", "Once {function} returns what it declares, or declares what it returns.")
    ],
    "input_unresolved": [
        Advice("edit", 'Correct the inputs of step "{step}": a source leads to nothing.'),
        Advice("start", _START_ANEW),
    ],
    "type_violation": [
        Advice("edit", 'Map step "{step}" over a list, or give it initial_tasks.'),
        Advice("start", _START_ANEW),
    ],
    "database_refused": [
        Advice("doctor", "PostgreSQL refused: this says whether the database is fit to run flows."),
        Advice("retry", "Once what the message names is put right."),
    ],
    "transaction_misused": [
        Advice("retry", "Once {function} is mended and deployed: see what it did, in the message.")
    ],
    "worker_lost": [
        Advice("workers", "Its process died: look whether workers are alive, and at their memory."),
        Advice("retry", "What had completed is not done again."),
    ],
    "caller_lost": [
        Advice("retry", "Nothing was wrong with it: its process died.", certain=True)
    ],
}  # fmt: skip

_OTHER = (Advice("retry", "Once the cause is put right. What had completed is not done again."),)


def is_retry_offered(code: str) -> bool:
    """Whether a retry may help against an error of this code."""
    return any(advice.kind == "retry" for advice in ADVICE.get(code, _OTHER))


def advise(code: str, situation: Situation) -> tuple[Action, ...]:
    """What to do about an error of this code, the best first."""
    found = [action for advice in ADVICE.get(code, _OTHER) for action in _act(advice, situation)]
    return tuple(found)


def advise_cancelled(situation: Situation) -> tuple[Action, ...]:
    """What may be done about a run that somebody cancelled."""
    return tuple(_act(Advice("retry", "If it is wanted after all."), situation))


def advise_waiting(reason: Reason, run_id: UUID) -> tuple[Action, ...]:
    """What to do about a run that waits for this reason."""
    run = str(run_id)
    match reason.code:
        case "no_worker" | "no_function":
            return (_serve(reason),)
        case "paused":
            resume = {"run_id": run, "action": "resume"}
            return (Action(reason.fix, "If it shall go on.", tool="control_run", arguments=resume),)
        case "retrying":
            why = "It is tried again by itself; this does not wait for that."
            retry = {"run_id": run, "action": "retry_now", "step": reason.steps[0]}
            return (Action(reason.fix, why, tool="control_run", arguments=retry),)
        case "busy":
            return (Action(reason.fix, "What the workers are doing."),)
        case "caller":
            return (Action(reason.fix, "How it stands."),)
    return ()


def _serve(reason: Reason) -> Action:
    is_certain = reason.code == "no_worker"
    why = "A worker takes what waits" if is_certain else "A new worker has the code of today"
    queues, count = reason.queues[:MAX_NAMES], len(reason.queues)
    if count > MAX_NAMES:
        why += f" in these {MAX_NAMES} of {count:,} queues"
    return Action(worker_command(queues), f"{why}.", is_certain)


def _act(advice: Advice, situation: Situation) -> Iterator[Action]:
    words = {
        "step": situation.step,
        "function": f"function {situation.function}" if situation.function else "the function",
        "version": situation.version,
    }
    why = advice.why.format_map(words)
    flow, using = situation.flow, situation.using
    match advice.kind:
        case "retry":
            yield _retry(situation, why, certain=advice.certain)
        case "edit" if situation.version == TRIAL_VERSION:
            yield _try_again(situation, why)
        case "start" if situation.version == TRIAL_VERSION:
            return
        case "edit" if situation.newest is None or situation.is_code:
            yield Action("", f"{why} {_WHERE[situation.is_code]}")
        case "edit":
            export = manage_command("exportflow", flow, "--output", "flow.json", using=using)
            store = manage_command("importflow", "flow.json", "--replace", using=using)
            yield Action(
                export, f"{why} Store it with {store}.", tool="patch_flow", arguments={"slug": flow}
            )
        case "start" if situation.newest is not None:
            run = manage_command("runflow", flow, "--input", "@input.json", using=using)
            changed = f"It is at version {situation.newest} now. "
            news = changed if situation.newest != situation.version else ""
            yield Action(run, f"{news}{why}", tool="start_run", arguments={"slug": flow})
        case "doctor":
            yield Action(manage_command("pgflow_doctor", using=using), why)
        case "workers":
            yield Action(manage_command("listworkers", using=using), why)


def _try_again(situation: Situation, why: str) -> Action:
    if not situation.is_stored:
        return Action("", f"{why} Correct the document, then try it anew: no draft has its name.")
    consent = ("--yes",) if situation.has_effects else ()
    again = manage_command("runflow", situation.flow, "--draft", *consent, using=situation.using)
    as_before = "with the outputs given as before, if there were any"
    return Action(
        again,
        f"{why} Correct the draft, then try it anew, {as_before}.",
        tool="start_trial",
        arguments={"slug": situation.flow},
    )


_WHERE = {True: "The flow is defined in code.", False: "The flow is deleted: create it anew."}


def _retry(situation: Situation, why: str, *, certain: bool) -> Action:
    run = situation.run_id
    if situation.has_caller_functions:  # which its caller alone has
        return Action(f'executor.retry_run("{run}", step_functions=…)', why, certain)
    command = manage_command("retryrun", run, using=situation.using)
    return Action(command, why, certain, tool="retry_run", arguments={"run_id": str(run)})
