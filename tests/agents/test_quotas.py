"""What programs may do in all: counted before it is done, and by nobody twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.test import override_settings

from pgflow_django import drafts
from pgflow_django.agents import quotas
from pgflow_django.agents.performing import perform
from pgflow_django.agents.policy import find_mode, policy
from pgflow_django.agents.policy import quotas as read_quotas
from pgflow_django.agents.quotas import QuotaExceeded, count
from pgflow_django.choices import Access
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import AgentUsage
from tests.agents.test_access import principal
from tests.agents.test_operations import DOCUMENT, ask, published, refused
from tests.views.conftest import make_user


def limited(**values: Any) -> Any:
    return override_settings(PGFLOW={"AGENTS": "write", "AGENT_POLICY": values})


@pytest.mark.django_db(transaction=True)
def test_of_eight_threads_as_many_get_through_as_may() -> None:
    user = make_user("ann", ())
    passed: list[int] = []
    waits: list[int | None] = []

    def ask_often() -> None:
        for _ in range(5):
            try:
                count(user, "calls")
                passed.append(1)
            except QuotaExceeded as error:
                waits.append(error.retry_after)
        connection.close()

    with limited(CALLS_PER_MINUTE=13):
        threads = [threading.Thread(target=ask_often) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(passed) == 13
    assert all(wait is not None and 1 <= wait <= 60 for wait in waits)
    assert AgentUsage.objects.get().count == 13


@pytest.mark.django_db
def test_the_count_begins_anew_when_its_time_is_over() -> None:
    user = make_user("ann", ())
    with limited(CALLS_PER_MINUTE=1):
        count(user, "calls")
        with pytest.raises(QuotaExceeded, match=r"may make 1 calls a minute, and have"):
            count(user, "calls")
        count(make_user("bob", ()), "calls")
        usage = AgentUsage.objects.get(user_key=str(user.pk))
        AgentUsage.objects.filter(pk=usage.pk).update(
            since=usage.since - quotas._WINDOWS["calls"][0]
        )
        count(user, "calls")
    with limited(CALLS_PER_MINUTE=0), pytest.raises(QuotaExceeded):
        count(user, "calls")


@pytest.mark.django_db
def test_calls_that_are_refused_have_counted() -> None:
    with limited(CALLS_PER_MINUTE=2):
        who = principal()
        assert refused(who, "get_flow", slug="nobody")[0] == 404
        assert refused(who, "get_flow", slug="nobody")[0] == 404
        answer = perform(who, "list_flows", {})
    assert (answer.status, answer.value["error"]["code"]) == (429, "quota_exceeded")
    assert 1 <= answer.value["error"]["retry_after"] <= 60


@pytest.mark.django_db
def test_runs_of_an_hour_and_runs_that_go_on_have_bounds() -> None:
    with limited(RUNS_PER_HOUR=3, ACTIVE_RUNS=2):
        who = principal("editor", Access.OPERATE, via="mcp")
        slug = published(who)
        first = ask(who, "start_run", slug=slug)["run_id"]
        ask(who, "start_run", slug=slug)
        assert refused(who, "start_run", slug=slug) == (429, "quota_exceeded")
        ask(who, "cancel_run", run_id=first)
        # The one that was refused has counted.
        assert refused(who, "start_run", slug=slug) == (429, "quota_exceeded")


@pytest.mark.django_db
def test_a_user_s_programs_make_so_many_flows() -> None:
    with limited(FLOWS_PER_USER=2):
        who = principal("editor", Access.AUTHOR)
        drafts.create("mine", user=who.user)
        ask(who, "save_flow", document=DOCUMENT)
        other = {**DOCUMENT, "workflow_slug": "other"}
        assert refused(who, "save_flow", document=other) == (429, "quota_exceeded")
        ask(who, "save_flow", document={**DOCUMENT, "description": "x"}, version=1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"AGENTS": "no"}, 'PGFLOW["AGENTS"] is "no", but must be one of off, read, write.'),
        ({"AGENT_POLICY": {"MAX_STEP": 1}}, 'There is no "MAX_STEP" in a policy.'),
        ({"AGENT_POLICY": {"APPROVAL": "me"}}, 'APPROVAL of the policy is "me", but must be'),
        ({"AGENT_POLICY": {"ACTIVE_RUNS": -1}}, "ACTIVE_RUNS of the policy is -1, but must be"),
        ({"AGENT_POLICY": {"QUEUES": "default"}}, "QUEUES of the policy is"),
    ],
)
def test_a_policy_that_says_nothing_is_refused_and_found_by_check(values: Any, said: str) -> None:
    with override_settings(PGFLOW=values):
        with pytest.raises(PgflowError) as refusal:
            find_mode()
            policy()
        assert str(refusal.value).startswith(said)
        assert any(
            found.id == "pgflow.E016" and found.msg.startswith(said) for found in run_checks()
        )


def test_what_a_site_sets_is_over_the_defaults() -> None:
    with limited(MAX_STEPS=3, CALLS_PER_MINUTE=5, APPROVAL="other_person"):
        assert (policy().max_steps, policy().max_edges) == (3, 200)
        assert (read_quotas().calls_per_minute, read_quotas().active_runs) == (5, 20)
        assert read_quotas().approval == "other_person"
