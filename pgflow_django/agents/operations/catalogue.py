"""What flows can be made of: step functions, and the schema of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from pgflow_django.agents.operations.shapes import Functions, GetSchema, Schema, SearchFunctions
from pgflow_django.agents.operations.words import fit
from pgflow_django.agents.policy import policy
from pgflow_django.cli.functions import describe
from pgflow_django.flow_builder import flow_schema
from pgflow_django.models import WorkflowWorker
from pgflow_django.registry import registry

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal

_BRIEF = ("name", "summary", "effects", "tags", "map_only")
_FULL = ("doc", "types", "input", "params", "output", "examples")


def search_step_functions(principal: Principal, asked: SearchFunctions, using: str) -> Functions:
    """Find step functions: what steps of a flow can call. Begin here; no other names run."""
    allowed = policy()
    if asked.names:
        names = [name for name in asked.names if name in registry]
    else:
        names = registry.search(asked.query) if asked.query.strip() else registry.names()
    names = [name for name in names if allowed.allows(name)]
    served = _list_served(using)
    keys = _BRIEF + _FULL * (asked.detail == "full")
    rows = []
    for name in names[: asked.limit]:
        function = registry.get(name)
        if function is None:
            continue
        described = describe(function)
        row = {key: described[key] for key in keys if described[key] not in (None, [], "")}
        rows.append({**row, "served": served is None or name in served})
    return Functions(functions=fit(rows)[0], total=len(names))


def _list_served(using: str) -> set[str] | None:
    """The functions that a worker which is alive can run; ``None``: any."""
    alive = WorkflowWorker.objects.using(using).filter(lease_until__gt=Now())
    found: set[str] = set()
    for functions in alive.values_list("functions", flat=True).distinct():
        if functions is None:
            return None
        found.update(functions)
    return found


def get_flow_schema(principal: Principal, asked: GetSchema, using: str) -> Schema:
    """The JSON Schema of flow documents."""
    options: dict[str, Any] = {"functions": asked.functions} if asked.functions else {}
    if asked.strict:
        options["strict"] = True
    return Schema(schema_=flow_schema(**options))
