"""What a flow may be that somebody else wrote, a program or a language model: caps, and functions.

Pure: no ORM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.options import FLOW_OPTIONS
from pgflow_django.definitions.problems import Problem, name_flow, name_step, say
from pgflow_django.definitions.rules import show
from pgflow_django.exceptions import PgflowError

if TYPE_CHECKING:
    from pgflow_django.definitions.declared import Contracts
    from pgflow_django.definitions.problems import Patch


@dataclass(frozen=True, slots=True)
class Policy:
    """What ``validate_flow`` allows beside what every flow must keep to.

    ``max_fan_out`` counts the ``initial_tasks`` of a step. ``functions`` are patterns as
    ``csv.*``; ``None``, as for ``effects``, allows all.
    """

    max_steps: int = 50
    max_edges: int = 200
    max_fan_out: int = 10_000
    max_attempts: int = 10
    max_timeout: int = 3_600
    queues: tuple[str, ...] = ("default",)
    effects: tuple[str, ...] | None = None
    functions: tuple[str, ...] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Policy:
        """The policy of a dict with upper-case keys over the defaults: ``{"MAX_STEPS": 20}``.

        Raises ``PgflowError`` (``invalid_policy``), with the key that is wrong.
        """
        known = {field.name.upper(): field for field in fields(cls)}
        found: dict[str, Any] = {}
        for key, value in values.items():
            if key not in known:
                meant = did_you_mean(nearest_names(key, known))
                raise _invalid(f"There is no {show(key)} in a policy.{meant}")
            name = known[key].name
            if name.startswith("max_"):
                found[name] = _read_number(key, value)
            else:
                found[name] = _read_words(key, value, is_optional=name != "queues")
        return cls(**found)

    def allows(self, function: str) -> bool:
        """Whether steps may call the function of this name."""
        patterns = self.functions
        return patterns is None or any(fnmatchcase(function, one) for one in patterns)


def _read_number(key: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _invalid(f"{key} of the policy is {show(value)}, but must be a whole number.")


def _read_words(key: str, value: Any, *, is_optional: bool) -> tuple[str, ...] | None:
    if value is None and is_optional:
        return None
    if isinstance(value, list | tuple | set) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise _invalid(f"{key} of the policy is {show(value)}, but must be a list of names.")


def _invalid(message: str) -> PgflowError:
    return PgflowError(message, code="invalid_policy")


def policy_problems(
    document: Mapping[str, Any], contracts: Contracts, policy: Policy
) -> Iterator[Problem]:
    """What of a document a policy forbids, but for functions that it doesn't know."""
    rows = document.get("steps")
    steps = [
        (f"/steps/{index}", row)
        for index, row in enumerate(rows if isinstance(rows, list | tuple) else ())
        if isinstance(row, dict)
    ]
    flow = document.get("workflow_slug")
    yield from _size_problems([row for _, row in steps], name_flow(flow), policy)
    defaults = {name: option.default for name, option in FLOW_OPTIONS.items()}
    yield from _option_problems({**defaults, **document}, name_flow(flow), "", policy)
    for pointer, row in steps:
        owner = name_step(row.get("slug"), flow)
        yield from _option_problems(row, owner, pointer, policy)
        yield from _function_problems(row, owner, pointer, contracts, policy)


def _size_problems(rows: list[dict[str, Any]], owner: str, policy: Policy) -> Iterator[Problem]:
    if len(rows) > policy.max_steps:
        text = (
            f"it may have at most {policy.max_steps:,} steps by the policy, and has {len(rows):,}"
        )
        yield Problem("too_many_steps", "/steps", say(owner, text))
    waits = [row.get("depends_on") for row in rows]
    edges = sum(len(one) for one in waits if isinstance(one, list | tuple))
    if edges > policy.max_edges:
        text = f"its steps may have at most {policy.max_edges:,} dependencies in all by the policy"
        message = say(owner, f"{text}, and have {edges:,}")
        yield Problem("too_many_dependencies", "/steps", message)


def _option_problems(
    row: Mapping[str, Any], owner: str, pointer: str, policy: Policy
) -> Iterator[Problem]:
    """Whether the options of a flow or of a step are within the policy's caps."""
    cap = partial(_cap_problems, row, owner, pointer)
    yield from cap("max_attempts", policy.max_attempts, code="attempts_not_allowed")
    yield from cap("timeout", policy.max_timeout, code="timeout_not_allowed")
    yield from cap("initial_tasks", policy.max_fan_out, code="fan_out_too_large")
    queue = row.get("queue")
    if isinstance(queue, str) and queue not in policy.queues:
        path, names = f"{pointer}/queue", list(policy.queues)
        listed = ", ".join(map(show, names)) or "none"
        text = f"queue is {show(queue)}, but the policy allows {listed}"
        fix = [{"op": "add", "path": path, "value": names[0]}] if len(names) == 1 else None
        yield Problem("queue_not_allowed", path, say(owner, text), names, fix)


def _cap_problems(
    row: Mapping[str, Any], owner: str, pointer: str, key: str, most: int, *, code: str
) -> Iterator[Problem]:
    value = row.get(key)
    if isinstance(value, int) and value > most:
        path = f"{pointer}/{key}"
        text = f"{key} is {show(value)}, but may be at most {most:,} by the policy"
        fix: Patch = [{"op": "add", "path": path, "value": most}]
        yield Problem(code, path, say(owner, text), fix=fix)


def _function_problems(
    row: Mapping[str, Any], owner: str, pointer: str, contracts: Contracts, policy: Policy
) -> Iterator[Problem]:
    name = row.get("uses") or row.get("slug")
    if not isinstance(name, str):
        return
    declared = contracts.get(name)
    effects = "unknown" if declared is None else declared.effects
    if policy.effects is not None and effects not in policy.effects:
        listed = ", ".join(policy.effects) or "none"
        text = f"the effects of {name} are {effects}, but the policy allows {listed}"
        yield Problem("effects_not_allowed", f"{pointer}/uses", say(owner, text))
    if declared is not None and declared.map_only and row.get("type") != "map":
        text = f"{name} is for map steps only, and this step is none"
        fix: Patch = [{"op": "add", "path": f"{pointer}/type", "value": "map"}]
        yield Problem("map_only_function", f"{pointer}/type", say(owner, text), fix=fix)
