"""Reading, repairing and judging what a model has answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pgflow_django import flow_builder, jsonvalue
from pgflow_django.agents.generate.proposals import Attempt
from pgflow_django.agents.operations.words import refuse_hidden_in
from pgflow_django.definitions import bounds
from pgflow_django.definitions.policy import Policy
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.shape import read_document, write_document
from pgflow_django.definitions.strict import read_strict, strict_schema
from pgflow_django.exceptions import InvalidDocument, InvalidInput

_FLOW = strict_schema([])["properties"]["flow"]["properties"]
#: What a model says of a flow and of a step; of the rest it knows nothing.
_TOLD_OF_FLOW = frozenset(_FLOW)
_TOLD_OF_STEP = frozenset(_FLOW["steps"]["items"]["properties"]) | {"params"}


@dataclass(slots=True)
class Judge:
    """Keeps the attempts of a model, judged by the policy."""

    policy: Policy
    slug: str | None
    current: dict[str, Any] | None
    attempts: list[Attempt] = field(default_factory=list)

    def judge_strict(self, answer: Any) -> Attempt:
        """Judge an answer that keeps to the strict schema, or should."""
        try:
            document, why, unmet = read_strict(answer)
        except InvalidDocument as error:
            return self._keep(Attempt(None, list(error.problems)))
        if isinstance(self.current, dict):
            document = _carry_over(self.current, document)
        return self.judge(document, why, unmet)

    def judge(self, document: Any, why: str = "", unmet: Sequence[str] = ()) -> Attempt:
        """Judge a document: repaired, and with its shortest form where it is valid."""
        document = bounds.read(document).value
        if self.slug is not None and isinstance(document, dict):
            document = {**document, "workflow_slug": self.slug}
        repaired = flow_builder.repair_flow(document, policy=self.policy)
        problems = [*repaired.problems, *_find_hidden(repaired.document)]
        attempt = Attempt(repaired.document, problems, why, unmet)
        if attempt.is_valid:
            short = write_document(read_document(repaired.document))
            attempt = Attempt(short, problems, why, unmet)
        return self._keep(attempt)

    def note_broken(self, count: int) -> None:
        """Keep that there were answers, so many in all, of which some were no JSON."""
        text = "The answer is no JSON object, but must be one with the flow under flow."
        while len(self.attempts) < count:
            self._keep(Attempt(None, [Problem("invalid_document", "", text)]))

    @property
    def is_unchanged(self) -> bool:
        """Whether the last two answers came to the same."""
        if len(self.attempts) < 2:
            return False
        before, last = self.attempts[-2:]
        if last.document is None or before.document is None:
            return False
        return jsonvalue.same(before.document, last.document)

    def _keep(self, attempt: Attempt) -> Attempt:
        self.attempts.append(attempt)
        return attempt


def _find_hidden(document: Any) -> list[Problem]:
    """What in its texts can't be seen, or turns the direction of text."""
    if not isinstance(document, dict):
        return []
    try:
        refuse_hidden_in(document)
    except InvalidInput as error:
        pointer = error.problems[0]["pointer"]
        return [Problem("invalid_text", pointer, str(error))]
    return []


def _carry_over(current: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The document with what the current one says and no model could."""
    kept = {key: value for key, value in current.items() if key not in _TOLD_OF_FLOW}
    before = {step["slug"]: step for step in current["steps"]}
    steps = document.get("steps")
    if not isinstance(steps, list):
        return {**kept, **document}
    return {**kept, **document, "steps": [_carry_step(before, step) for step in steps]}


def _carry_step(before: dict[str, dict[str, Any]], step: Any) -> Any:
    slug = step.get("slug") if isinstance(step, dict) else None
    old = before.get(slug) if isinstance(slug, str) else None
    if old is None:
        return step
    carried = {**{key: old[key] for key in old if key not in _TOLD_OF_STEP}, **step}
    if "uses" not in old and carried.get("uses") == slug:
        del carried["uses"]  # a model has to name the function; a document needs not
    return carried
