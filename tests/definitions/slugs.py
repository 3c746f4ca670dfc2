"""The slug rule as a table: one list of cases for Python and for the CHECK constraints."""

from __future__ import annotations

VALID_SLUGS = [
    "a",
    "A",
    "_",
    "_1",
    "fetch_data",
    "FetchData2",
    "Run",
    "RUN",
    "run_",
    "_run",
    "runs",
    "x" * 128,
]

INVALID_SLUGS = [
    "",
    " ",
    "run",
    "1st",
    "a-b",
    "a b",
    "a.b",
    "a\n",
    "\na",
    "a\nb",
    "a\t",
    "a\r",
    "é",
    "naïve",
    "\uff46etch",  # full width
    "a²",
    "a٣",
    "名前",
    "a'b",
    'a"b',
    "a;drop table workflows",
    "x" * 129,
]

#: PostgreSQL can't even be asked about these.
INVALID_IN_PYTHON = ["a\0", "\ud800", None, 1, True, 1.5, b"abc", ["a"], ("a",), {"a": 1}, object()]
