"""Every option is where it must be; a message names the file in which it was forgotten."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_overloads

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client

from pgflow_django import drafts, executor, flow_builder, flows
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS, Option
from pgflow_django.definitions.shape import _FIRST_FLOW_OPTIONS, _FIRST_STEP_OPTIONS
from pgflow_django.models import Workflow, WorkflowStep, WorkflowVersionStep
from project.option_tables import DOCS, TABLES, render_page
from tests.definitions.samples import sample_options
from tests.documentation import ROOT

MODELS = "pgflow_django/models/definitions.py"
PANEL = "/admin/pgflow_django/workflow/orders/panel/"

FLOW = [pytest.param(option, id=f"flow-{name}") for name, option in FLOW_OPTIONS.items()]
STEP = [pytest.param(option, id=f"step-{name}") for name, option in STEP_OPTIONS.items()]
each_flow_option = pytest.mark.parametrize("option", FLOW)
each_step_option = pytest.mark.parametrize("option", STEP)


def require_column(model: type[Model], option: Option) -> None:
    columns = {field.name for field in model._meta.concrete_fields}
    assert option.name in columns, f"add {option.name} to {model.__name__} in {MODELS}"


def require_keyword(function: Callable[..., Any], option: Option, file: str) -> None:
    parameter = inspect.signature(function).parameters.get(option.name)
    where = f"{getattr(function, '__name__', function)}() in {file}"
    assert parameter is not None, f"add {option.name} to {where}"
    assert parameter.kind == inspect.Parameter.KEYWORD_ONLY
    assert parameter.default == option.default, f"the default of {option.name} of {where}"


@each_flow_option
def test_an_option_of_flows_is_a_column_and_a_keyword(option: Option) -> None:
    require_column(Workflow, option)
    require_keyword(flow_builder.create_flow, option, "pgflow_django/flow_builder.py")
    found = getattr(flows.Flow, option.name, flows)
    assert found == option.default, f"add {option.name} to Flow in pgflow_django/flows.py"


@each_step_option
def test_an_option_of_steps_is_a_column_of_both_tables(option: Option) -> None:
    require_column(WorkflowStep, option)
    require_column(WorkflowVersionStep, option)


@each_step_option
def test_an_option_of_steps_is_a_keyword(option: Option) -> None:
    require_keyword(flow_builder.add_step, option, "pgflow_django/flow_builder.py")
    if option.name != "function":  # the decorator has it already
        with_options = get_overloads(flows.step)[-1]
        require_keyword(with_options, option, "pgflow_django/flows.py")


@pytest.mark.parametrize("option", [*FLOW, *STEP])
def test_people_can_read_what_an_option_is(option: Option) -> None:
    assert option.label, f"{option.name} has no label in pgflow_django/definitions/options.py"
    assert option.about, f"{option.name} has no about in pgflow_django/definitions/options.py"


@pytest.mark.parametrize("option", [*FLOW, *STEP])
def test_a_later_option_is_in_the_changelog(option: Option) -> None:
    if option.name not in _FIRST_FLOW_OPTIONS | _FIRST_STEP_OPTIONS:
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        assert f"`{option.name}`" in changelog, f"tell of {option.name} in CHANGELOG.md"


@pytest.mark.parametrize("page", TABLES)
def test_the_tables_of_the_docs_are_fresh(page: str) -> None:
    is_fresh = (DOCS / page).read_text(encoding="utf-8") == render_page(page)
    assert is_fresh, f"docs/{page} is old: run python manage.py doctables"


def make_document() -> dict[str, Any]:
    """A flow with a step that have a value for every option."""
    values = {FLOW_OPTIONS[key].key: value for key, value in sample_options(FLOW_OPTIONS).items()}
    step = {STEP_OPTIONS[key].key: value for key, value in sample_options(STEP_OPTIONS).items()}
    return {"workflow_slug": "orders", **values, "steps": [{"slug": "fetch", **step}]}


@pytest.fixture
def orders(db: None) -> str:
    """Give the flow of that document."""
    flow_builder.create_flow_from_spec(make_document())
    return "orders"


def test_every_option_is_stored_and_exported(orders: str) -> None:
    assert flow_builder.export_flow(orders) == make_document()


def test_every_option_of_a_step_is_pinned_with_its_value(orders: str) -> None:
    executor.start_flow(orders, [1])
    pinned = WorkflowVersionStep.objects.get(step_slug="fetch")
    for name, value in sample_options(STEP_OPTIONS).items():
        found = getattr(pinned, name)
        assert found == value, f"pin {name} in pgflow_django/sql/functions/pin_version.sql"


def test_every_change_of_an_option_of_a_flow_makes_a_version(orders: str) -> None:
    for name, value in sample_options(FLOW_OPTIONS).items():
        before = Workflow.objects.get().version
        Workflow.objects.update(**{name: FLOW_OPTIONS[name].default})
        assert Workflow.objects.get().version == before + 1, f"{name} was {value}"


@pytest.mark.parametrize("step", ["", "fetch"])
def test_every_option_has_a_field_in_the_panel(orders: str, client: Client, step: str) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(f"{PANEL}?step={step}").content.decode()
    for option in (STEP_OPTIONS if step else FLOW_OPTIONS).values():
        # Inputs have a field for each key: the one that is always there begins another.
        field = "new-source" if option.key == "inputs" else option.key
        assert f'name="{field}"' in page, f"the group {option.group} of {option.name}"
        assert str(option.label) in page


@pytest.mark.parametrize("step", ["", "fetch"])
def test_readers_see_every_option_in_the_panel(orders: str, client: Client, step: str) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_workflow"))
    client.force_login(viewer)
    page = client.get(f"{PANEL}?step={step}").content.decode()
    options = STEP_OPTIONS if step else FLOW_OPTIONS
    values = sample_options(options)
    assert "<input" not in page
    for name, option in options.items():
        if isinstance(values[name], int):
            assert f"<dd>{values[name]}</dd>" in page, f"the value of {name}"
        if option.rule.control().kind != "text":
            assert str(option.label) in page


def test_zero_is_a_value_like_any_other(db: None, client: Client) -> None:
    boss = User.objects.create_superuser("boss")
    zeros = {"max_attempts": 0, "base_delay": 0}
    steps = [{"slug": "inherits"}, {"slug": "own", **zeros, "start_delay": 0}]
    drafts.create("orders", {"steps": steps, **zeros}, user=boss)
    client.force_login(boss)
    for name in zeros:
        page = client.get(f"{PANEL}?step=inherits").content.decode()
        assert 'placeholder="0"' in find_control(page, name)
        assert 'value="0"' in find_control(client.get(f"{PANEL}?step=own").content.decode(), name)
        assert 'value="0"' in find_control(client.get(PANEL).content.decode(), name)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_workflow"))
    drafts.publish("orders", drafts.load("orders").version, user=boss)
    client.force_login(viewer)
    for step, count in (("", 2), ("inherits", 3), ("own", 3)):
        page = client.get(f"{PANEL}?step={step}").content.decode()
        assert page.count("<dd>0</dd>") >= count


def find_control(page: str, name: str) -> str:
    found = re.search(rf'<input[^>]* id="pgf-f-{name}"[^>]*>', page)
    assert found, name
    return found[0]
