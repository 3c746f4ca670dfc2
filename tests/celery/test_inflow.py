"""When a lane lets tasks gather: arithmetic alone, on a clock of its own."""

from __future__ import annotations

from pgflow_django.worker.inflow import Inflow


def work(inflow: Inflow, *, tasks: int, calls: float, rest: float = 0.0, wanted: int = 10) -> None:
    """A second of looks that find so many tasks each, with so many seconds of calls and of rest."""
    now = 1000.0
    while now < 1001:
        inflow.note_look(tasks, wanted)
        now += calls + rest
        inflow.note_call(calls, now)


def test_a_lane_that_has_time_for_each_task_does_not_rest() -> None:
    inflow = Inflow()
    assert inflow.rest() == 0
    work(inflow, tasks=1, calls=0.003, rest=0.002)  # 200 tasks a second
    assert inflow.rest() == 0


def test_a_lane_that_has_no_time_for_single_tasks_rests_longer_the_more_come() -> None:
    few, many, flood = Inflow(), Inflow(), Inflow()
    work(few, tasks=2, calls=0.004, rest=0.001)
    work(many, tasks=3, calls=0.005, rest=0.001)
    work(flood, tasks=9, calls=0.010, rest=0.005)
    assert 0 < few.rest() < many.rest() < flood.rest() == 0.02


def test_it_goes_on_resting_when_rests_have_made_it_idle() -> None:
    inflow = Inflow()
    work(inflow, tasks=8, calls=0.005, rest=0.015)
    assert inflow.rest() > 0


def test_what_step_functions_take_is_no_reason_to_rest() -> None:
    inflow = Inflow()
    work(inflow, tasks=5, calls=0.002, rest=0.050)
    assert inflow.rest() == 0


def test_a_lane_does_not_rest_while_there_is_more_than_it_wanted() -> None:
    inflow = Inflow()
    work(inflow, tasks=3, calls=0.005, wanted=3)
    assert inflow.pressure > 1  # it would rest, did a look find less
    assert inflow.rest() == 0


def test_it_forgets_a_flood_within_a_moment() -> None:
    inflow = Inflow()
    work(inflow, tasks=9, calls=0.010, rest=0.005)
    inflow.note_look(1, 10)
    inflow.note_call(0.003, 1002.0)
    assert inflow.rest() == 0
