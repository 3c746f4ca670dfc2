"""The demo's flow, as the document that `exportflow` gives and `importflow` takes."""

from __future__ import annotations

from typing import Any

from pgflow_django import WorkflowExists, flow_builder

AIRPORTS_ETL: dict[str, Any] = {
    "workflow_slug": "airports_etl",
    "description": "Extract a CSV file, validate each row, transform, load and report.",
    "timeout": 60,
    "steps": [
        {"slug": "extract_airports"},
        {"slug": "validate_airport", "depends_on": ["extract_airports"], "type": "map"},
        {"slug": "transform_airports", "depends_on": ["validate_airport"]},
        {"slug": "load_airports", "depends_on": ["transform_airports"]},
        {"slug": "report_airports", "depends_on": ["transform_airports", "load_airports"]},
    ],
}


def install() -> bool:
    """Store the flow unless one of its name is there, edited or not. Says whether it was new."""
    try:
        flow_builder.create_flow_from_spec(AIRPORTS_ETL)
    except WorkflowExists:
        return False
    return True
