"""The one table of what programs do, from which MCP tools, HTTP endpoints and docs are made."""

from __future__ import annotations

from typing import Final

from pgflow_django.agents.operations import catalogue, drawing, flows, runs, shapes, starting
from pgflow_django.agents.operations.operation import Operation
from pgflow_django.choices import Access

__all__ = ["OPERATIONS", "Operation"]

READ, AUTHOR, RUN, OPERATE = Access.READ, Access.AUTHOR, Access.RUN, Access.OPERATE

_TABLE = (
    Operation(
        catalogue.search_step_functions,
        shapes.SearchFunctions,
        shapes.Functions,
        READ,
        "view",
        "GET",
        "/functions",
    ),
    Operation(
        catalogue.get_flow_schema,
        shapes.GetSchema,
        shapes.Schema,
        READ,
        "view",
        "GET",
        "/schema",
    ),
    Operation(
        flows.list_flows,
        shapes.ListFlows,
        shapes.Flows,
        READ,
        "view",
        "GET",
        "/flows",
    ),
    Operation(
        flows.get_flow,
        shapes.GetFlow,
        shapes.Flow,
        READ,
        "view",
        "GET",
        "/flows/{slug}",
    ),
    Operation(
        flows.validate_flow,
        shapes.ValidateFlow,
        shapes.Validation,
        READ,
        "view",
        "POST",
        "/validate",
    ),
    Operation(
        flows.simulate_flow,
        shapes.SimulateFlow,
        shapes.Simulated,
        READ,
        "view",
        "POST",
        "/simulate",
    ),
    Operation(
        flows.diff_flow,
        shapes.DiffFlow,
        shapes.Changes,
        READ,
        "view",
        "POST",
        "/flows/{slug}/diff",
    ),
    Operation(
        drawing.save_flow,
        shapes.SaveFlow,
        shapes.Saved,
        AUTHOR,
        "change",
        "PUT",
        "/flows/{slug}/draft",
    ),
    Operation(
        drawing.patch_flow,
        shapes.PatchFlow,
        shapes.Saved,
        AUTHOR,
        "change",
        "PATCH",
        "/flows/{slug}/draft",
    ),
    Operation(
        drawing.publish_flow,
        shapes.PublishFlow,
        shapes.Published,
        AUTHOR,
        "change",
        "POST",
        "/flows/{slug}/publish",
    ),
    Operation(
        starting.start_run,
        shapes.StartRun,
        shapes.Started,
        RUN,
        "run",
        "POST",
        "/flows/{slug}/runs",
    ),
    Operation(
        runs.list_runs,
        shapes.ListRuns,
        shapes.Runs,
        READ,
        "view_run",
        "GET",
        "/runs",
    ),
    Operation(
        runs.get_run,
        shapes.GetRun,
        shapes.Run,
        READ,
        "view_run",
        "GET",
        "/runs/{run_id}",
    ),
    Operation(
        runs.explain_run,
        shapes.OneRun,
        shapes.Explained,
        READ,
        "view_run",
        "GET",
        "/runs/{run_id}/explanation",
    ),
    Operation(
        starting.start_trial,
        shapes.StartTrial,
        shapes.Started,
        RUN,
        "run",
        "POST",
        "/trials",
    ),
    Operation(
        runs.retry_run,
        shapes.OneRun,
        shapes.Acted,
        OPERATE,
        "retry_run",
        "POST",
        "/runs/{run_id}/retry",
    ),
    Operation(
        runs.cancel_run,
        shapes.CancelRun,
        shapes.Acted,
        OPERATE,
        "cancel_run",
        "POST",
        "/runs/{run_id}/cancel",
        is_destructive=True,
        is_idempotent=True,
    ),
)

#: By name.
OPERATIONS: Final[dict[str, Operation]] = {operation.name: operation for operation in _TABLE}
