"""Asking a language model, by pydantic-ai, which is imported when it is asked and not before."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgflow_django.agents.generate.prompting import write_problems
from pgflow_django.agents.generate.proposals import Attempt, GenerationFailed, Usage
from pgflow_django.conf import settings
from pgflow_django.jsonvalue import cut

if TYPE_CHECKING:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model

    from pgflow_django.agents.generate.judging import Judge

logger = logging.getLogger("pgflow_django.agents")

_INSTALL = 'pip install "pgflow_django[ai]"'


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked, and how much it may take."""

    instructions: str
    request: str
    schema: dict[str, Any]
    repairs: int
    timeout: float
    max_tokens: int


class _UnchangedError(Exception):
    """The model answers what it answered before: it would go on so."""


def find_model(model: Any) -> Model:
    """The model to ask: a pydantic-ai one, or the name of one; ``None``: that of the settings.

    Raises ``GenerationFailed`` (``ai_not_configured``), with what to install or to set.
    """
    try:
        from pydantic_ai.exceptions import UserError
        from pydantic_ai.models import Model, infer_model
    except ImportError:
        raise _not_configured(f"pydantic-ai is not installed: {_INSTALL}.") from None
    if isinstance(model, Model):
        return model
    name = settings.AI_MODEL if model is None else model
    if not isinstance(name, str) or not name:
        raise _not_configured(
            'No model is named: set PGFLOW["AI_MODEL"], to "openai:gpt-5" for instance'
        )
    key = _find_key()
    try:
        if settings.AI_BASE_URL:
            return _find_compatible(name, key)
        if key:
            return infer_model(name, lambda provider: _make_provider(provider, key))
        return infer_model(name)
    except (UserError, ImportError, ValueError, TypeError) as error:
        raise _not_configured(f"The model {name} can't be asked: {cut(str(error), 500)}") from None


def name_model() -> str:
    """What the settings say is asked; empty where they say nothing."""
    return str(settings.AI_BACKEND or settings.AI_MODEL)


def find_what_misses() -> str:
    """What must be installed or set before a flow can be generated; empty if nothing."""
    if settings.AI_BACKEND:
        return ""
    try:
        find_model(None)
    except GenerationFailed as error:
        return str(error)
    return ""


def _find_compatible(name: str, key: str) -> Model:
    """A model of a server that speaks as OpenAI does; many such want no key."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=settings.AI_BASE_URL, api_key=key or "none")
    plain = name.removeprefix("openai-chat:").removeprefix("openai:")
    return OpenAIChatModel(plain, provider=provider)


def _make_provider(name: str, key: str) -> Any:
    from pydantic_ai.providers import infer_provider_class

    kind: Any = infer_provider_class(name)
    return kind(api_key=key)


def _find_key() -> str:
    variable = settings.AI_API_KEY_ENV
    if not variable:
        return ""
    key = os.environ.get(variable, "")
    if not key:
        raise _not_configured(
            f'The environment variable {variable}, which PGFLOW["AI_API_KEY_ENV"] names, is not set'
        )
    return key


def _not_configured(text: str) -> GenerationFailed:
    return GenerationFailed(f"{text.rstrip('.')}.", code="ai_not_configured")


def ask(model: Model, question: Question, judge: Judge) -> Usage:
    """Ask until an answer is valid; ``judge`` keeps the answers, that one last.

    Raises ``GenerationFailed`` where none is, where the model refuses or can't be reached, and
    when the time is over.
    """
    from pydantic_ai import capture_run_messages, exceptions

    with capture_run_messages() as messages:
        try:
            return asyncio.run(_ask(model, question, judge))
        except _UnchangedError:
            raise _failed("The model's answer stays the same", judge) from None
        except TimeoutError:
            text = f"The model has not answered within {question.timeout:g} seconds"
            raise _failed(text, judge, code="model_timeout") from None
        except exceptions.ContentFilterError as error:
            # Its text has the whole answer, with what providers add to it.
            text = f"The model refuses: {error.message}"
            raise _failed(text, judge, code="model_refused") from None
        except exceptions.ModelTimeoutError as error:
            raise _failed(
                f"The model has not answered: {error}", judge, code="model_timeout"
            ) from None
        except exceptions.ModelAPIError as error:
            # What a provider answers can have parts of the key: it is for the log of the server.
            logger.warning("The model %s can't be reached: %s", model.model_name, error)
            raise _failed(_tell_unreachable(error), judge, code="model_unreachable") from None
        except exceptions.UsageLimitExceeded as error:
            judge.note_broken(_count_answers(messages))
            raise _failed(f"The model has used up what it may: {error}", judge) from None
        except exceptions.UnexpectedModelBehavior as error:
            judge.note_broken(_count_answers(messages))
            raise _failed(f"No answer was a valid flow: {error.message}", judge) from None
        except exceptions.UserError as error:
            raise _not_configured(f"The model can't be asked: {cut(str(error), 500)}") from None


def _tell_unreachable(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    why = f"its server answers with HTTP status {status}" if status else "nothing answers"
    return f"The model can't be reached: {why}. The log of this process has the details"


async def _ask(model: Model, question: Question, judge: Judge) -> Usage:
    from pydantic_ai import UsageLimits

    agent = _make_agent(model, question, judge)
    limits = UsageLimits(request_limit=1 + question.repairs, total_tokens_limit=question.max_tokens)
    async with asyncio.timeout(question.timeout), agent:
        result = await agent.run(question.request, usage_limits=limits)
    used = result.usage
    return Usage(used.requests, used.input_tokens, used.output_tokens)


def _make_agent(model: Model, question: Question, judge: Judge) -> Agent[None, Any]:
    from pydantic_ai import Agent, ModelRetry, RunContext

    agent: Agent[None, Any] = Agent(
        model,
        instructions=question.instructions,
        output_type=_choose_output(model, question.schema),
        retries={"output": question.repairs},
    )

    async def check(context: RunContext[None], answer: Any) -> Any:
        judge.note_broken(_count_answers(context.messages) - 1)
        attempt = judge.judge_strict(answer)
        if attempt.is_valid:
            return answer
        if judge.is_unchanged:
            raise _UnchangedError
        raise ModelRetry(write_problems(attempt.problems))

    # Its annotations are names of this function, which nobody could look up.
    check.__annotations__ = {"context": RunContext[None], "answer": Any, "return": Any}
    agent.output_validator(check)
    return agent


def _choose_output(model: Model, schema: dict[str, Any]) -> Any:
    """How the model is held to the schema: as the settings say, or the best that it can."""
    from pydantic_ai import NativeOutput, PromptedOutput, StructuredDict, ToolOutput

    mode, profile = settings.AI_OUTPUT, model.profile
    if mode == "auto":
        if profile.get("supports_json_schema_output", False):
            mode = "native"
        else:
            mode = "tool" if profile.get("supports_tools", True) else "prompted"
    kind = StructuredDict(schema, name="flow")
    if mode == "native":
        return NativeOutput(kind, strict=True)
    return ToolOutput(kind, strict=True) if mode == "tool" else PromptedOutput(kind)


def _count_answers(messages: Sequence[ModelMessage]) -> int:
    return sum(message.kind == "response" for message in messages)


def _failed(text: str, judge: Judge, code: str = "generation_failed") -> GenerationFailed:
    told = [cut(text, 1000).rstrip(".")]
    told += _last_error(judge.attempts)
    return GenerationFailed(f"{'. '.join(told)}.", code=code, attempts=judge.attempts)


def _last_error(attempts: Sequence[Attempt]) -> list[str]:
    errors = (
        [each for each in attempts[-1].problems if each.severity == "error"] if attempts else []
    )
    return [f"The last answer: {cut(errors[0].message, 500).rstrip('.')}"] if errors else []
