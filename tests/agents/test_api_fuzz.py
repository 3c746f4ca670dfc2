"""The HTTP API as a stranger's tool reads it: requests made of its own description, and answers.

Nothing may end in a fault, in a status or in a shape that the description does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import override_settings
from hypothesis import HealthCheck, settings

from pgflow_django.agents.http import describe_api
from pgflow_django.choices import Access
from tests.agents.calling import ROOT, sign_in
from tests.engine.effort import EFFORT
from tests.views.conftest import make_flow, run_flow, steps

__all__ = ["steps"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

MANY: dict[str, int] = {
    "CALLS_PER_MINUTE": 1_000_000,
    "RUNS_PER_HOUR": 1_000_000,
    "ACTIVE_RUNS": 1_000_000,
    "FLOWS_PER_USER": 1_000_000,
}


def load(examples: int, *, is_thorough: bool) -> Any:
    """The API as schemathesis knows it."""
    schema = schemathesis.openapi.from_dict(describe_api(f"{ROOT}/"))
    schema.app = WSGIHandler()
    schema.config.generation.max_examples = examples
    schema.config.phases.coverage.enabled = is_thorough
    # What is well-formed may be refused for what it says: 422 tells why.
    accepted = schema.config.checks.positive_data_acceptance
    accepted.expected_statuses = [*accepted.expected_statuses, "422"]
    return schema


quick, thorough = load(5, is_thorough=False), load(12 * EFFORT, is_thorough=True)
untimed = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def _writing() -> Iterator[None]:
    with override_settings(PGFLOW={"AGENTS": "write", "AGENT_POLICY": MANY}):
        make_flow("numbers")
        run_flow("numbers")
        # As Django's own test client has it: the transaction of the test goes on.
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
        yield
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


@pytest.fixture
def secrets() -> dict[str, str]:
    """Give a token of each access."""
    return {access: sign_in(access=access).secret for access in Access}


def check(case: Any, secret: str) -> None:
    """Send a request, look at the answer, and take back what came of it."""
    with transaction.atomic():
        headers = {"Authorization": f"Bearer {secret}", "Host": "testserver"}
        case.call_and_validate(headers=headers)
        transaction.set_rollback(True)


@quick.parametrize()  # type: ignore[untyped-decorator]
@untimed
def test_the_api_is_as_it_says(case: Any, secrets: dict[str, str]) -> None:
    check(case, secrets[Access.PUBLISH])


@pytest.mark.slow
@pytest.mark.parametrize("access", Access)
@thorough.parametrize()  # type: ignore[untyped-decorator]
@untimed
def test_the_api_is_as_it_says_to_every_access(
    case: Any, secrets: dict[str, str], access: Access
) -> None:
    check(case, secrets[access])
