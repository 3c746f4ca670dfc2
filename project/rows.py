"""What makes a row of `airports.csv` valid, and what becomes of it: pure functions.

A row is a dict of the file's columns, all strings, plus its `line` in the file.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent / "data"
COLUMNS = ("iata", "name", "city", "state", "country", "latitude", "longitude")
MISSING = frozenset({"", "NA"})

NAME_MISSING = "name is missing"
CITY_MISSING = "city is missing"
CODE_MALFORMED = "code is not three or four capitals or digits"
CODE_REPEATED = "code is that of an earlier row"
COUNTRY_FOREIGN = "country is not the USA"
STATE_MISSING = "state is missing"
STATE_UNKNOWN = "state code is unknown"
COORDINATES_INVALID = "coordinates are not degrees"
OUTSIDE_STATE = "coordinates lie outside of the state"
OUTSIDE_COUNTRY = "coordinates lie in no state"


@dataclass(frozen=True, slots=True)
class State:
    """A state or territory with the box around it, in degrees."""

    code: str
    name: str
    south: float
    north: float
    west: float
    east: float

    def contains(self, latitude: float, longitude: float) -> bool:
        """Say whether the point lies in the box."""
        return self.south <= latitude <= self.north and self.west <= longitude <= self.east


def read_rows(path: Path = DATA / "airports.csv") -> list[dict[str, Any]]:
    """Give the rows of the file, each with its line number, as they are."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return [{"line": reader.line_num, **{key: row[key] for key in COLUMNS}} for row in reader]


@cache
def states() -> dict[str, State]:
    """Give the states and territories by postal code."""
    with (DATA / "states.csv").open(encoding="utf-8", newline="") as file:
        return {
            code: State(code, name, *(float(degrees) for degrees in box))
            for code, name, *box in list(csv.reader(file))[1:]
        }


def problems(row: dict[str, Any]) -> list[str]:
    """Give every reason why the row is not valid; an empty list means that it is."""
    found = []
    if not re.fullmatch(r"[A-Z0-9]{3,4}", row["iata"]):
        found.append(CODE_MALFORMED)
    if row["name"].strip() in MISSING:
        found.append(NAME_MISSING)
    if row["city"].strip() in MISSING:
        found.append(CITY_MISSING)
    if row["state"] in MISSING:
        found.append(STATE_MISSING)
    elif row["state"] not in states():
        found.append(STATE_UNKNOWN)
    if row["country"] != "USA":
        found.append(COUNTRY_FOREIGN)
    return found + _problems_of_place(row)


def _problems_of_place(row: dict[str, Any]) -> list[str]:
    place = coordinates(row)
    if place is None:
        return [COORDINATES_INVALID]
    state = states().get(row["state"])
    if state is not None:
        return [] if state.contains(*place) else [OUTSIDE_STATE]
    if row["country"] == "USA" and not any(other.contains(*place) for other in states().values()):
        return [OUTSIDE_COUNTRY]
    return []


def coordinates(row: dict[str, Any]) -> tuple[float, float] | None:
    """Give latitude and longitude in degrees, or None where the row does not have them."""
    try:
        latitude, longitude = float(row["latitude"]), float(row["longitude"])
    except ValueError:
        return None
    if not (math.isfinite(latitude) and abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return latitude, longitude


def clean(row: dict[str, Any]) -> dict[str, Any]:
    """Give the fields of an `Airport` from a valid row."""
    return {
        "code": row["iata"],
        "name": " ".join(row["name"].split()),
        "city": " ".join(row["city"].split()),
        "state": row["state"],
        "latitude": round(float(row["latitude"]), 6),
        "longitude": round(float(row["longitude"]), 6),
    }
