"""Looks at a run: what a page gets that says what it shows, and what all that adds up to."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowRunEvent, WorkflowTaskAttempt
from tests.views.conftest import LogIn, run_flow
from tests.views.watching import Stage, Watcher, list_cards

pytestmark = pytest.mark.django_db

#: The most that an answer may have while the run goes on.
MOST = 20_000
#: Cards that may look as before though their steps don't: see ``runs.digest``.
BY_CHANCE = 1


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def test_a_look_gets_nothing_until_something_changes(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    page = Watcher(client, run.pk)
    assert page.is_up_to_date()
    executor.drain()
    answer = page.look()
    assert 'id="pgf-run-head"' in answer.content.decode()
    assert page.is_up_to_date()


def test_a_look_at_a_run_that_has_not_changed_takes_four_queries(
    client: Client, flow: str, django_assert_num_queries: Any
) -> None:
    for run in (run_flow(), executor.start_flow(flow, {})):
        page = Watcher(client, run.pk)
        assert page.is_up_to_date()
        with django_assert_num_queries(4):  # the session, the user, the run, one look at the rest
            answer = page.ask()
        assert (answer.status_code, answer.content) == (204, b"")
        assert float(answer["X-Pgf-Now"]) == pytest.approx(timezone.now().timestamp(), abs=60)


def test_only_cards_that_differ_are_sent_while_the_run_goes_on(client: Client, flow: str) -> None:
    stage = Stage(5)
    page = Watcher(client, stage.run)
    stage.begin("step_3")
    answer = page.ask().content.decode()
    assert list_cards(answer) == ["step_3"]
    assert 'id="pgf-dag"' not in answer
    assert "pgf-running" in answer


def test_what_failed_comes_first_then_what_runs(client: Client, flow: str) -> None:
    stage = Stage(4)
    page = Watcher(client, stage.run)
    stage.begin("step_1", "step_2", "step_3")
    stage.complete("step_1")
    stage.fail("step_3")
    assert list_cards(page.ask().content.decode())[:2] == ["step_3", "step_2"]


def test_fifty_changes_of_three_hundred_steps_come_in_answers_of_bounded_size(
    client: Client, flow: str
) -> None:
    stage = Stage(300)
    stage.begin(*stage.slugs[:100])
    page = Watcher(client, stage.run)
    stage.complete(*stage.slugs[:50])
    stage.begin(*stage.slugs[100:110], worker="w" * 200)
    page.look()
    assert page.is_up_to_date()
    assert 2 <= len(page.sizes[1:]) <= 5
    assert max(page.sizes[1:]) <= MOST
    assert len(page.find_stale()) <= BY_CHANCE


def test_the_end_of_a_run_brings_the_whole_drawing_once(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    page = Watcher(client, run.pk)
    executor.drain()
    answer = page.ask()
    assert answer["HX-Trigger"] == "pgf:ended"
    assert 'id="pgf-dag"' in answer.content.decode()
    assert "data-ended" in answer.content.decode()
    page.take(answer)
    assert page.is_up_to_date()


@pytest.mark.parametrize(
    "state",
    [
        "",
        "x",
        "AAAAAAAA",
        "A" * 9,
        "A" * 12,
        "AAAAAAA.AAAAAA",
        "A" * 4000,
        "ÀAAAAAAAAAAAAA",
        "'\"<>",
    ],
)
def test_a_page_that_does_not_say_what_it_shows_gets_everything(
    client: Client, flow: str, state: str
) -> None:
    page = Watcher(client, executor.start_flow(flow).pk)
    answer = page.ask(state)
    assert answer.status_code == 200
    assert 'id="pgf-dag"' in answer.content.decode()
    assert "HX-Trigger" not in answer


def test_events_and_other_changes_of_the_run_are_changes_of_its_page(
    client: Client, flow: str
) -> None:
    run = executor.start_flow(flow)
    page = Watcher(client, run.pk)
    WorkflowRunEvent.objects.create(run_id=run.pk, kind="log", message="hello")
    answer = page.look()
    assert answer.status_code == 200
    assert list_cards(answer.content.decode()) == []
    WorkflowRun.objects.filter(pk=run.pk).update(status="paused")
    assert ">paused<" in page.look().content.decode()
    assert page.is_up_to_date()


def test_a_retry_whose_moment_has_come_is_a_change(client: Client, flow: str) -> None:
    stage = Stage(2)
    stage.begin("step_0")
    stage.fail("step_0", again_in=60)
    page = Watcher(client, stage.run)
    assert "data-until=" in page.cards["step_0"]
    assert page.is_up_to_date()
    WorkflowTaskAttempt.objects.update(retry_at=Now())
    assert list_cards(page.look().content.decode()) == ["step_0"]
    assert "data-until=" not in page.cards["step_0"]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_what_a_page_took_one_after_another_is_the_whole_drawing(
    client: Client, flow: str, seed: int
) -> None:
    chance = random.Random(seed)
    stage = Stage(40)
    page = Watcher(client, stage.run)
    old: list[Any] = []
    for _ in range(10):
        for _ in range(chance.randint(1, 4)):
            move(stage, chance)
        answer = page.ask()
        fate = chance.choice(["taken", "taken", "lost", "late"])
        if fate == "late" and old:  # it comes after a newer one, or twice
            page.take(chance.choice(old))
        elif fate == "taken" and answer.status_code == 200:
            page.take(answer)
            old.append(answer)
        if chance.random() < 0.3:
            page.look()
            assert len(page.find_stale()) <= BY_CHANCE
    executor.cancel_run(stage.run)
    assert page.look()["HX-Trigger"] == "pgf:ended"
    assert page.find_stale() == []


def move(stage: Stage, chance: random.Random) -> None:
    """Let something happen to some steps of a run."""
    waiting, running = stage.find("created"), stage.find("started")
    some = chance.sample(running, min(len(running), chance.randint(1, 8)))
    match chance.randrange(6):
        case 0 | 1:
            stage.begin(*waiting[: chance.randint(1, 25)])
        case 2:
            stage.complete(*some)
        case 3:
            stage.fail(*some, again_in=chance.choice([0, 60]), error=str(chance.random()))
        case 4:
            stage.advance(chance.randint(1, 3))
            stage.call_again()
        case 5:
            stage.begin(*some, worker=f"w{chance.randrange(9)}")
