"""A site with ``USE_TZ = False``, whose moments have no time zone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from pgflow_django import drafts, executor, signals
from pgflow_django.runs.workers import list_workers
from tests.commands.calling import call
from tests.sites import sample
from tests.views.conftest import address

pytestmark = pytest.mark.django_db(transaction=True)

ZONE = "Asia/Kolkata"  # 5:30 h from UTC, all the year


@pytest.fixture(autouse=True)
def _without_zones(settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, ZONE


@pytest.fixture
def runs(transactional_db: None) -> dict[str, UUID]:
    return sample.make()


def is_near(moment: datetime) -> bool:
    """Whether it is nearer than any error of time zones, in the site's own form."""
    assert timezone.is_naive(moment)
    return abs(datetime.now() - moment) < timedelta(hours=2)  # noqa: DTZ005


def test_pages_show_moments_by_the_clock_of_the_site(runs: dict[str, UUID], boss: Client) -> None:
    pages = [
        address("workflow_changelist"),
        address("workflowrun_changelist"),
        address("workflowworker_changelist"),
        *(address(f"workflow_{name}", "numbers") for name in ("edit", "history", "run")),
        address("workflow_diff", "numbers", 1501),
        *(address("workflowrun_change", run) for run in runs.values()),
    ]
    for page in pages:
        answer = boss.get(page)
        assert answer.status_code == 200, page
        for text in re.findall(r'datetime="([^"]*)"', answer.content.decode()):
            moment = datetime.fromisoformat(text)
            now = datetime.now(moment.tzinfo)
            assert abs(now - moment) < timedelta(hours=2), (page, text)


def test_commands_speak_of_moments_by_the_clock_of_the_site(runs: dict[str, UUID]) -> None:
    for name in ("listflows", "listruns", "listworkers"):
        assert call(name).status == 0, name
    for run in runs.values():
        answer = call("showrun", str(run))
        assert answer.status == 0
        started = re.search(r"started +(\S+ \S+)", answer.stdout)
        assert started
        assert is_near(datetime.fromisoformat(started[1]))
    pruned = call("pruneruns", "--older-than", "0s", "--dry-run")
    assert (pruned.status, call("pruneruns", "--older-than", "1h").status) == (0, 0)


def moments(value: Any) -> list[str]:
    """The moments in a JSON value."""
    if isinstance(value, dict):
        found = [text for key, text in value.items() if key.endswith("_at") and text]
        return [*found, *(one for each in value.values() for one in moments(each))]
    return [one for each in value for one in moments(each)] if isinstance(value, list) else []


def test_json_of_commands_says_how_far_from_utc_a_moment_is(runs: dict[str, UUID]) -> None:
    calls = [("listflows",), ("listruns",), ("listworkers",), ("showrun", str(runs["retrying"]))]
    for name, *words in calls:
        found = moments(call(name, *words, "--json").json)
        assert found, name
        for text in found:
            moment = datetime.fromisoformat(text)
            assert abs(moment - datetime.now(UTC)) < timedelta(hours=2), (name, text)


def test_what_a_run_waits_for_is_told(runs: dict[str, UUID]) -> None:
    for name in ("retrying", "delayed"):
        waiting = executor.get_run_status(runs[name]).waiting
        assert waiting is not None
        assert waiting.until is not None
        assert is_near(waiting.until)
        assert f"at {waiting.until:%Y-%m-%d %H:%M:%S}" in waiting.message


def test_a_restored_revision_is_named_by_its_moment(runs: dict[str, UUID]) -> None:
    version = drafts.load("numbers").version
    edited = drafts.edit("numbers", version, "restore", {"seq": 1500}, user="ann")
    assert edited.draft.undo_label.startswith("Restored ")


def test_signals_tell_the_next_attempt_as_the_site_has_moments(transactional_db: None) -> None:
    heard: list[datetime] = []

    def hear(retry_at: datetime, **_: Any) -> None:
        heard.append(retry_at)

    signals.attempt_failed.connect(hear)
    try:
        sample.register()
        executor.start_flow(sample.make_flow("retrying", "site_fail", max_attempts=2), {})
        executor.drain(timeout=0.5)
    finally:
        signals.attempt_failed.disconnect(hear)
    (moment,) = heard
    assert is_near(moment)


def test_workers_are_alive_and_have_spoken_a_moment_ago(runs: dict[str, UUID]) -> None:
    (worker,) = list_workers(using="default")
    assert worker.is_alive
    assert is_near(worker.started_at)
    assert json.dumps(worker.silent)
