"""The demo's judgement of rows, on real ones from its file and on the file as a whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from project import rows


@pytest.fixture(scope="module")
def by_code() -> dict[str, dict[str, Any]]:
    return {row["iata"]: row for row in rows.read_rows()}


def test_the_file_is_read_as_it_is() -> None:
    read = rows.read_rows()
    assert len(read) == 3376
    assert read[0] == {
        "line": 2,
        "iata": "00M",
        "name": "Thigpen",
        "city": "Bay Springs",
        "state": "MS",
        "country": "USA",
        "latitude": "31.95376472",
        "longitude": "-89.23450472",
    }
    assert read[-1]["line"] == 3377


@pytest.mark.parametrize(
    ("code", "reasons"),
    [
        ("00M", []),
        ("W33", []),  # has the name of FHR: a seaplane base in the same harbour
        ("ADK", []),  # the Aleutians
        ("SJU", []),  # Puerto Rico
        ("MIB", [rows.CITY_MISSING, rows.STATE_MISSING]),  # Minot, North Dakota
        ("ROP", [rows.CITY_MISSING, rows.STATE_MISSING, rows.COUNTRY_FOREIGN]),  # Thailand
        ("GSN", [rows.STATE_UNKNOWN, rows.OUTSIDE_COUNTRY]),  # CQ, and 145 degrees west
        ("GUM", [rows.OUTSIDE_STATE]),  # Guam, 144 degrees west
        ("PPG", [rows.OUTSIDE_STATE]),  # American Samoa, 14 degrees north
    ],
)
def test_real_rows(by_code: dict[str, dict[str, Any]], code: str, reasons: list[str]) -> None:
    assert rows.problems(by_code[code]) == reasons


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({"iata": ""}, [rows.CODE_MALFORMED]),
        ({"iata": "12345"}, [rows.CODE_MALFORMED]),
        ({"iata": "abc"}, [rows.CODE_MALFORMED]),
        ({"iata": "ABC\n"}, [rows.CODE_MALFORMED]),
        ({"iata": "ÄBC"}, [rows.CODE_MALFORMED]),
        ({"name": " "}, [rows.NAME_MISSING]),
        ({"city": " NA "}, [rows.CITY_MISSING]),
        ({"state": "ms"}, [rows.STATE_UNKNOWN]),
        ({"state": "AL"}, [rows.OUTSIDE_STATE]),
        ({"country": "US"}, [rows.COUNTRY_FOREIGN]),
        ({"latitude": ""}, [rows.COORDINATES_INVALID]),
        ({"latitude": "31,9"}, [rows.COORDINATES_INVALID]),
        ({"latitude": "91"}, [rows.COORDINATES_INVALID]),
        ({"latitude": "nan"}, [rows.COORDINATES_INVALID]),
        ({"longitude": "-inf"}, [rows.COORDINATES_INVALID]),
        ({"longitude": "nan"}, [rows.COORDINATES_INVALID]),
        ({"longitude": "89.23450472"}, [rows.OUTSIDE_STATE]),
        ({"name": "", "longitude": "180.5"}, [rows.NAME_MISSING, rows.COORDINATES_INVALID]),
    ],
)
def test_a_valid_row_made_invalid(
    by_code: dict[str, dict[str, Any]], change: dict[str, str], reasons: list[str]
) -> None:
    assert rows.problems({**by_code["00M"], **change}) == reasons


def test_the_whole_file_has_twenty_invalid_rows() -> None:
    reasons = [rows.problems(row) for row in rows.read_rows()]
    assert sum(map(bool, reasons)) == 20
    assert Counter(reason for row in reasons for reason in row) == {
        rows.CITY_MISSING: 12,
        rows.STATE_MISSING: 12,
        rows.COUNTRY_FOREIGN: 4,
        rows.STATE_UNKNOWN: 4,
        rows.OUTSIDE_COUNTRY: 4,
        rows.OUTSIDE_STATE: 4,
    }


def test_cleaning_gives_the_fields_of_an_airport(by_code: dict[str, dict[str, Any]]) -> None:
    assert rows.clean({**by_code["00M"], "name": " Thigpen  Field "}) == {
        "code": "00M",
        "name": "Thigpen Field",
        "city": "Bay Springs",
        "state": "MS",
        "latitude": 31.953765,
        "longitude": -89.234505,
    }


def test_every_state_has_a_box_that_is_one() -> None:
    assert len(rows.states()) == 56
    for state in rows.states().values():
        assert -15 < state.south < state.north < 72
        assert -180 <= state.west < state.east <= 146.1
