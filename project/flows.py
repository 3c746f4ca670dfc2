"""The demo's flows, as the documents that `exportflow` gives and `importflow` takes."""

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

SHOP_DAY: dict[str, Any] = {
    "workflow_slug": "shop_day",
    "description": "A day of a small shop: charge cards and send parcels while stock is reordered.",
    "timeout": 30,
    "input_schema": {
        "type": "object",
        "properties": {
            "orders": {
                "type": "integer",
                "title": "Orders",
                "description": "how many came in",
                "default": 12,
                "minimum": 0,
                "maximum": 500,
            },
            "pace": {
                "type": "number",
                "title": "Pace",
                "description": "of every step: 1 is about a second, 0 is at once",
                "default": 1,
                "minimum": 0,
                "maximum": 20,
            },
            "broken_bank": {
                "type": "boolean",
                "title": "The bank is out of order",
                "description": "lets the step charge_cards fail",
            },
        },
    },
    "steps": [
        {"slug": "list_orders"},
        {"slug": "check_stock", "depends_on": ["list_orders"], "type": "map"},
        {"slug": "charge_cards", "depends_on": ["check_stock"], "max_attempts": 2},
        {"slug": "print_labels", "depends_on": ["check_stock"]},
        {"slug": "reorder_stock", "depends_on": ["check_stock"]},
        {"slug": "send_parcels", "depends_on": ["charge_cards", "print_labels"]},
        {"slug": "mail_report", "depends_on": ["charge_cards", "send_parcels"]},
    ],
}
DEMO_FLOWS = (AIRPORTS_ETL, SHOP_DAY)


def install_all() -> list[str]:
    """Store every demo flow that is not there. Gives the slugs of those that were new."""
    return [flow["workflow_slug"] for flow in DEMO_FLOWS if install(flow)]


def install(flow: dict[str, Any] = AIRPORTS_ETL) -> bool:
    """Store the flow unless one of its name is there, edited or not. Says whether it was new."""
    try:
        flow_builder.create_flow_from_spec(flow)
    except WorkflowExists:
        return False
    return True
