"""The step functions of the demo's flow: extract, validate, transform, load, report.

Each gets one dict and returns what JSON can hold. Invalid rows go along with their reasons: they
end in the report, not in an error.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NotRequired, TypedDict

from pgflow_django import Example, step_function
from project import orders as orders  # registers its step functions
from project import rows
from project.models import Airport

JSON = dict[str, Any]


class RowItem(TypedDict):
    """A task of the map over rows."""

    item: JSON


class Judged(TypedDict):
    """What was found about one row."""

    valid: bool
    row: JSON
    reasons: NotRequired[list[str]]


class AllJudged(TypedDict):
    """What the map over rows gave."""

    validate_airport: list[Judged]


class Transformed(TypedDict):
    """The rows that are good, as airports, and those that are not, with their reasons."""

    airports: list[JSON]
    rejected: list[JSON]


class ToLoad(TypedDict):
    """What is to be written."""

    transform_airports: Transformed


class Loaded(TypedDict):
    """How many airports were written, and how many of them were not known."""

    loaded: int
    new: int


class ToReport(TypedDict):
    """What the report counts."""

    transform_airports: Transformed
    load_airports: Loaded


FIELDS = ["name", "city", "state", "latitude", "longitude"]


@step_function(tags=["airports"], effects="reads")
def extract_airports(input: JSON) -> list[JSON]:
    """Read the file: a list of rows, each of which becomes a task of the next step."""
    return rows.read_rows()


@step_function(map_only=True, tags=["airports"], effects="none")
def validate_airport(input: RowItem) -> Judged:
    """Judge one row: `{"valid": True, "row": …}`, or False and the `reasons`."""
    reasons = rows.problems(input["item"])
    if reasons:
        return {"valid": False, "row": input["item"], "reasons": reasons}
    return {"valid": True, "row": input["item"]}


@step_function(
    tags=["airports"],
    effects="none",
    examples=[
        Example(
            input={"validate_airport": [{"valid": False, "row": {"line": 2}, "reasons": ["why"]}]},
            output={"airports": [], "rejected": [{"row": {"line": 2}, "reasons": ["why"]}]},
        )
    ],
)
def transform_airports(input: AllJudged) -> Transformed:
    """Part the valid rows, cleaned, from the rejected; a code counts where it stands first."""
    airports: dict[str, JSON] = {}
    rejected = []
    for result in input["validate_airport"]:
        row = result["row"]
        if not result["valid"]:
            rejected.append({"row": row, "reasons": result["reasons"]})
        elif row["iata"] in airports:
            rejected.append({"row": row, "reasons": [rows.CODE_REPEATED]})
        else:
            airports[row["iata"]] = rows.clean(row)
    return {"airports": list(airports.values()), "rejected": rejected}


@step_function(atomic=True, tags=["airports"], effects="writes")
def load_airports(input: ToLoad) -> Loaded:
    """Write the airports, new ones and known ones, in the transaction that completes the step."""
    airports = [Airport(**fields) for fields in input["transform_airports"]["airports"]]
    known = Airport.objects.filter(code__in=[airport.code for airport in airports]).count()
    Airport.objects.bulk_create(
        airports,
        batch_size=1000,
        update_conflicts=True,
        update_fields=FIELDS,
        unique_fields=["code"],
    )
    return {"loaded": len(airports), "new": len(airports) - known}


@step_function(tags=["airports"], effects="none")
def report_airports(input: ToReport) -> JSON:
    """Count what was loaded and what was rejected, by state and by reason, and list the latter."""
    transformed = input["transform_airports"]
    rejected = transformed["rejected"]
    reasons = Counter(reason for row in rejected for reason in row["reasons"])
    by_state = Counter(airport["state"] for airport in transformed["airports"])
    return {
        "rows": len(transformed["airports"]) + len(rejected),
        "loaded": input["load_airports"]["loaded"],
        "new": input["load_airports"]["new"],
        "rejected": len(rejected),
        "reasons": dict(reasons.most_common()),
        "states": dict(by_state.most_common()),
        "rejected_rows": rejected,
    }
