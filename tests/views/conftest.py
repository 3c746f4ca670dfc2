"""Users by what they may do, flows, runs, and the addresses of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry

pytestmark = pytest.mark.django_db

SEES = ("view_workflow", "view_workflowrun")
CHANGES = (
    *SEES,
    "add_workflow",
    "change_workflow",
    "delete_workflow",
    "publish_workflow",
    "run_workflow",
    "cancel_workflowrun",
    "retry_workflowrun",
    "pause_workflowrun",
    "decide_workflowrun",
    "view_payload",
)
#: Of those who see that runs go well.
MENDS = (
    *SEES,
    "cancel_workflowrun",
    "retry_workflowrun",
    "pause_workflowrun",
    "decide_workflowrun",
)
#: Who the tests know: nobody, and users with what they may do.
USERS: Mapping[str, tuple[str, ...] | None] = {
    "anonymous": None,
    "bare": (),
    "viewer": SEES,
    "operator": MENDS,
    "editor": CHANGES,
    "boss": ("*",),
}
#: Pages of a flow that are looked at, also while it is a draft only.
FLOW_VIEWS = (
    "edit",
    "canvas",
    "panel",
    "trial",
    "history",
    "export_json",
    "export_py",
    "diagram",
    "import",
)
LogIn = Callable[..., Client]


def address(name: str, *args: Any) -> str:
    """The address of a page: ``workflow_edit``, ``workflowrun_live``."""
    return reverse(f"admin:pgflow_django_{name}", args=args)


def make_user(name: str, codenames: tuple[str, ...], **more: Any) -> User:
    """A user of the admin with these permissions; ``"*"`` makes a superuser."""
    if codenames == ("*",):
        return User.objects.create_superuser(name)
    user = User.objects.create_user(name, is_staff=True, **more)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="pgflow_django", codename__in=codenames)
    )
    return user


@pytest.fixture
def log_in(db: None) -> LogIn:
    """Give a client logged in as one of ``USERS``, or with just these permissions."""

    def log_in(name: str = "boss", *codenames: str, **options: Any) -> Client:
        client = Client(**options)
        wanted = codenames or USERS[name]
        if wanted is not None:
            user = User.objects.filter(username=name).first() or make_user(name, wanted)
            client.force_login(user)
        return client

    return log_in


@pytest.fixture
def steps() -> Iterator[None]:
    """Register the step functions of the flow ``numbers``."""

    def fetch(input: Any) -> list[int]:
        """Get the numbers."""
        if input["run"].get("is_broken"):
            raise RuntimeError("<b>no numbers</b> today")
        return [1, 2, 3]

    def double(input: Any) -> int:
        """Double one number."""
        return int(input["item"]) * 2

    def report(input: Any) -> dict[str, Any]:
        """Add them up."""
        return {"sum": sum(input["double"]), "api_key": "k-123"}

    made = (fetch, double, report)
    for function in made:
        registry.unregister(function.__name__)
        registry.register(function)
    yield
    for function in made:
        registry.unregister(function.__name__)


def make_flow(slug: str = "numbers", **options: Any) -> str:
    """Store the guide's flow of three steps."""
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": slug,
            "max_attempts": 1,
            "base_delay": 0,
            "steps": [
                {"slug": "fetch"},
                {"slug": "double", "depends_on": ["fetch"], "type": "map"},
                {"slug": "report", "depends_on": ["double"]},
            ],
            **options,
        }
    )
    return slug


def run_flow(slug: str = "numbers", input: Any = None) -> WorkflowRun:
    """Run a flow to its end."""
    run = executor.start_flow(slug, {} if input is None else input)
    executor.drain()
    return WorkflowRun.objects.get(pk=run.pk)


@pytest.fixture
def flow(db: None, steps: None) -> str:
    """Give the guide's flow, stored."""
    return make_flow()
