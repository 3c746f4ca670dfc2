"""The table from the code of a run's error to what is to be done next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from pgflow_django.runs.next_actions import ADVICE, Situation, advise
from tests.documentation import DOCS, read_rows

SITUATION = Situation(
    run_id=UUID(int=7), flow="etl", version=3, newest=3, is_code=False,
    has_caller_functions=False, step="load", function="csv.load", using="default",
)  # fmt: skip
RETRY = f"python manage.py retryrun {UUID(int=7)}"
EDIT = "python manage.py exportflow etl --output flow.json"
START = "python manage.py runflow etl --input @input.json"


@pytest.mark.parametrize(
    ("code", "commands"),
    [
        ("step_failed", [RETRY]),
        ("step_timeout", [EDIT, START, RETRY]),
        ("output_not_json", [RETRY]),
        ("output_too_large", [RETRY]),
        ("invalid_step_input", [EDIT, START, RETRY]),
        ("invalid_step_params", [EDIT, START]),
        ("invalid_step_output", [RETRY]),
        ("input_unresolved", [EDIT, START]),
        ("type_violation", [EDIT, START]),
        ("database_refused", ["python manage.py pgflow_doctor", RETRY]),
        ("transaction_misused", [RETRY]),
        ("worker_lost", ["python manage.py listworkers", RETRY]),
        ("caller_lost", [RETRY]),
        ("a_code_of_tomorrow", [RETRY]),
    ],
)
def test_what_to_do_about_a_code(code: str, commands: list[str]) -> None:
    actions = advise(code, SITUATION)
    assert [action.command for action in actions] == commands
    assert all("{" not in action.why and action.why.endswith(".") for action in actions)


def test_every_code_that_a_run_can_fail_with_is_in_the_table() -> None:
    rows = [cells for cells in read_rows(DOCS / "errors.md") if len(cells) == 3]
    documented = {
        cells[0].strip("`") for cells in rows if "attempt's" in cells[1] or "a run's" in cells[1]
    }
    assert documented == set(ADVICE)


def test_actions_know_where_the_flow_is() -> None:
    def commands(**facts: Any) -> list[str]:
        return [one.command for one in advise("input_unresolved", replace(SITUATION, **facts))]

    assert commands(newest=None) == [""]
    assert commands(is_code=True) == ["", START]
    (_, start) = advise("input_unresolved", replace(SITUATION, newest=5))
    assert start.why.startswith("It is at version 5 now. A new run takes the flow as it is then")
    assert commands(using="other") == [f"{EDIT} --database other", f"{START} --database other"]
