"""``generate_flow``: from a sentence to a flow that could be stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from django.utils.module_loading import import_string

from pgflow_django import flow_builder
from pgflow_django.agents import quotas
from pgflow_django.agents.access import Principal
from pgflow_django.agents.calls import log_call
from pgflow_django.agents.generate import asking
from pgflow_django.agents.generate.judging import Judge
from pgflow_django.agents.generate.prompting import write_instructions, write_request
from pgflow_django.agents.generate.proposals import GenerationFailed, Proposal, Usage
from pgflow_django.agents.policy import policy as read_policy
from pgflow_django.async_twins import waiting_twin
from pgflow_django.choices import Access
from pgflow_django.conf import settings
from pgflow_django.definitions.document import validate
from pgflow_django.definitions.edits import compare
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.problems import raise_problems, workflow_slug_problems
from pgflow_django.definitions.shape import read_document, write_document
from pgflow_django.exceptions import InvalidInput, PgflowError, StepFunctionMissing
from pgflow_django.registry import registry

if TYPE_CHECKING:
    from pgflow_django.definitions.policy import Policy

#: Characters of a prompt.
_MAX_PROMPT: Final = 20_000


def generate_flow(
    prompt: str,
    *,
    model: Any = None,
    current: Any = None,
    slug: str | None = None,
    functions: Collection[str] | None = None,
    repairs: int = 3,
    timeout: float = 60.0,
    max_tokens: int = 20_000,
    user: Any = None,
    using: str | None = None,
) -> Proposal:
    """A flow that a language model proposes for ``prompt``, valid under the policy of the site.

    It chooses from the registered functions that the policy allows, or from ``functions`` of
    those; it writes no code. ``current`` is a document to change, ``slug`` the name of the flow.
    A wrong answer goes back with its problems, up to ``repairs`` times, within ``timeout`` seconds
    and ``max_tokens`` tokens in all; for a Django ``user`` it counts against the policy's
    ``GENERATIONS_PER_DAY``. ``model`` is a pydantic-ai model or the name of one, by default
    that of the settings.

    Nothing is published or run, and nothing stored but that it was asked for. Raises
    ``GenerationFailed``; for what can't be asked ``InvalidInput``, ``StepFunctionMissing``,
    ``InvalidSlug``, or what is wrong with ``current``.
    """
    asked = partial(
        _generate,
        prompt,
        model=model,
        current=current,
        slug=slug,
        functions=functions,
        repairs=repairs,
        timeout=timeout,
        max_tokens=max_tokens,
        user=user,
        using=using,
    )
    return _log(asked, {"prompt": str(prompt), "slug": str(slug)}, user, using)


agenerate_flow = waiting_twin(generate_flow)


def _log(
    ask: Callable[[], Proposal], arguments: dict[str, str], user: Any, using: str | None
) -> Proposal:
    """What ``ask`` gives; that somebody has asked is in the log of calls, however it ends."""
    began, code, slug = time.monotonic(), "", ""
    try:
        proposal = ask()
        slug = proposal.document["workflow_slug"]
    except PgflowError as error:
        code = error.code
        raise
    except Exception as error:
        code = f"internal_error: {type(error).__name__}"
        raise
    finally:
        log_call(
            None if user is None else Principal(user, Access.AUTHOR, via="generate"),
            "generate_flow",
            workflow_slug=slug,
            code=code,
            milliseconds=round((time.monotonic() - began) * 1000),
            arguments=arguments,
            using=using,
        )
    return proposal


def _generate(
    prompt: str,
    *,
    model: Any,
    current: Any,
    slug: str | None,
    functions: Collection[str] | None,
    repairs: int,
    timeout: float,
    max_tokens: int,
    user: Any,
    using: str | None,
) -> Proposal:
    _check_request(prompt, repairs, timeout, max_tokens)
    before = _read_current(current)
    name = _read_slug(slug, before)
    allowed = _narrow(read_policy(), functions)
    names = _choose(prompt, before, allowed)
    judge = Judge(allowed, name, before)
    backend = settings.AI_BACKEND if model is None else ""
    found = None if backend else asking.find_model(model)
    _count(user, using)
    if found is None:
        usage = _ask_backend(backend, prompt, before, judge)
    else:
        question = asking.Question(
            instructions=write_instructions(names),
            request=write_request(prompt, before, name),
            schema=flow_builder.flow_schema(strict=True, functions=names),
            repairs=repairs,
            timeout=timeout,
            max_tokens=max_tokens,
        )
        usage = asking.ask(found, question, judge)
    told = backend if found is None else found.model_name
    return _propose(judge, usage, told, prompt, using)


def _propose(judge: Judge, usage: Usage, model: str, prompt: str, using: str | None) -> Proposal:
    last = judge.attempts[-1]
    return Proposal(
        document=last.document,
        problems=last.problems,
        why=last.why,
        unmet=list(last.unmet),
        changes=compare(judge.current, last.document),
        attempts=judge.attempts,
        usage=usage,
        model=model,
        prompt_sha256=sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest(),
        current=judge.current,
        using=using,
    )


def _check_request(prompt: Any, repairs: Any, timeout: Any, max_tokens: Any) -> None:
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidInput("The prompt is empty: say what the flow should do.")
    if len(prompt) > _MAX_PROMPT:
        text = f"The prompt has {len(prompt):,} characters, but may have at most {_MAX_PROMPT:,}."
        raise InvalidInput(text)
    if not isinstance(repairs, int) or repairs < 0:
        raise InvalidInput("repairs must be a whole number, 0 or more.")
    if not timeout > 0 or not max_tokens > 0:
        raise InvalidInput("timeout and max_tokens must be above 0.")


def _read_current(current: Any) -> dict[str, Any] | None:
    """The document to change in its shortest form; raises what is wrong with it."""
    if current is None:
        return None
    raise_problems(validate(current))
    return write_document(read_document(current))


def _read_slug(slug: str | None, current: dict[str, Any] | None) -> str | None:
    """The name that the flow must have; ``None`` where the model may choose."""
    name = current["workflow_slug"] if current and slug is None else slug
    if name is not None:
        raise_problems(workflow_slug_problems(name))
    return name


def _narrow(policy: Policy, functions: Collection[str] | None) -> Policy:
    """The policy that allows ``functions`` only, of those that it allowed before."""
    names = registry.names() if functions is None else list(functions)
    for name in names:
        if name not in registry:
            meant = did_you_mean(nearest_names(name, registry.names()))
            raise StepFunctionMissing(f'No function "{name}" is registered.{meant}')
    allowed = [
        name
        for name in names
        if policy.allows(name)
        and (policy.effects is None or registry.effects_of(name) in policy.effects)
    ]
    if not allowed:
        raise GenerationFailed(
            "There is no function that a flow may call: register some, or allow more in "
            'PGFLOW["AGENT_POLICY"].'
        )
    return replace(policy, functions=tuple(allowed))


def _choose(prompt: str, current: dict[str, Any] | None, allowed: Policy) -> list[str]:
    """The functions to offer: those that the flow calls, those that fit the prompt, the rest."""
    steps = current["steps"] if current else ()
    called = [step.get("uses") or step["slug"] for step in steps]
    names: Sequence[str] = [*called, *registry.search(prompt), *(allowed.functions or ())]
    known = set(allowed.functions or ())
    found = [name for name in dict.fromkeys(names) if name in known]
    return found[: settings.AI_MAX_FUNCTIONS]


def _count(user: Any, using: str | None) -> None:
    if user is None:
        return
    try:
        quotas.count(user, "generations", using=using)
    except quotas.QuotaExceeded as error:
        raise GenerationFailed(
            str(error), code="quota_exceeded", retry_after=error.retry_after
        ) from None


def _ask_backend(name: str, prompt: str, current: Any, judge: Judge) -> Usage:
    """Ask the site's own callable, which answers with a document."""
    try:
        backend = import_string(name)
    except ImportError as error:
        raise GenerationFailed(
            f'PGFLOW["AI_BACKEND"] can\'t be imported: {error}.', code="ai_not_configured"
        ) from None
    attempt = judge.judge(backend(prompt, registry, current))
    if not attempt.is_valid:
        raise GenerationFailed(
            f"What {name} answers is no valid flow: {attempt.problems[0].message}",
            attempts=judge.attempts,
        )
    return Usage()
