"""How one flow document differs from another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pgflow_django import jsonvalue
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pgflow_django.definitions.options import Option

Kind = Literal["added", "removed", "changed", "moved"]
#: Characters of a value that are shown.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: of the flow (``step`` is ``None``) or of a step."""

    kind: Kind
    step: str | None
    option: str | None = None
    before: Any = None
    after: Any = None

    def to_dict(self) -> dict[str, Any]:
        """The change as a JSON object."""
        named = {"change": self.kind, "step": self.step, "option": self.option}
        if self.option is None:
            return named
        return {**named, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        """One line for a person."""
        subject = "flow" if self.step is None else f"step {self.step}"
        if self.option is None:
            return f"{subject}: {self.kind}"
        return f"{subject}: {self.option} {_show(self.before)} → {_show(self.after)}"


def compare(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Change]:
    """How one document becomes the other; ``None`` stands for a flow that is not there."""
    old = {step["slug"]: step for step in before["steps"]} if before else {}
    new = {step["slug"]: step for step in after["steps"]}
    changes = list(_compare_options(None, before, after, FLOW_OPTIONS)) if before else []
    changes += [Change("removed", slug) for slug in old if slug not in new]
    for slug, step in new.items():
        if slug not in old:
            changes.append(Change("added", slug))
            continue
        changes += _compare_options(slug, old[slug], step, STEP_OPTIONS)
        waits = old[slug].get("depends_on", []), step.get("depends_on", [])
        if set(waits[0]) != set(waits[1]):
            changes.append(Change("changed", slug, "depends_on", *waits))
    common = [slug for slug in old if slug in new], [slug for slug in new if slug in old]
    changes += [Change("moved", slug) for was, slug in zip(*common, strict=True) if was != slug]
    return changes


def _compare_options(
    step: str | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    options: Mapping[str, Option],
) -> Iterator[Change]:
    for option in options.values():
        values = before.get(option.key, option.default), after.get(option.key, option.default)
        if not jsonvalue.same(*values):
            yield Change("changed", step, option.key, *values)


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
