"""create_flow, add_step, get_flow, list_flows, delete_flow: what they do and what they refuse."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, router, transaction
from django.test.utils import CaptureQueriesContext

import pgflow_django
from pgflow_django import exceptions, executor, flow_builder
from pgflow_django.definitions import options
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import (
    Workflow,
    WorkflowStep,
    WorkflowStepDependency,
    WorkflowVersion,
    WorkflowVersionStep,
)
from pgflow_django.storage import definitions as definition_store

from .samples import sample_options
from .slugs import INVALID_IN_PYTHON, INVALID_SLUGS

pytestmark = pytest.mark.django_db

FLOW_OPTIONS = sample_options(options.FLOW_OPTIONS)
STEP_OPTIONS = sample_options(options.STEP_OPTIONS)


@pytest.fixture
def flow() -> str:
    """A flow ``orders`` with steps ``fetch`` and ``check``, which waits for ``fetch``."""
    flow_builder.create_flow("orders")
    flow_builder.add_step("orders", "fetch")
    flow_builder.add_step("orders", "check", ["fetch"])
    return "orders"


def stored() -> tuple[int, int, int]:
    models = (Workflow, WorkflowStep, WorkflowStepDependency)
    return tuple(model.objects.count() for model in models)  # type: ignore[return-value]


def refused(
    error: type[PgflowError], code: str, call: Callable[..., Any], *args: Any, **kwargs: Any
) -> str:
    """Call it; the message of the error that must come. Nothing may be left behind."""
    before = stored()
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert caught.value.code == code
    assert stored() == before
    return str(caught.value)


# What they do


def test_the_guide_s_first_example() -> None:
    workflow = flow_builder.create_flow("ai_data_pipeline", max_attempts=5, timeout=60)
    assert (workflow.workflow_slug, workflow.max_attempts, workflow.timeout) == (
        "ai_data_pipeline", 5, 60,
    )  # fmt: skip
    flow_builder.add_step("ai_data_pipeline", "fetch_data", [])
    step = flow_builder.add_step(
        "ai_data_pipeline", "process_batch", ["fetch_data"], step_type="map", initial_tasks=100
    )
    assert (step.step_slug, step.step_type, step.initial_tasks, step.deps_count) == (
        "process_batch", "map", 100, 1,
    )  # fmt: skip
    flow_builder.add_step("ai_data_pipeline", "save_results", ["process_batch"])
    flow = flow_builder.get_flow("ai_data_pipeline")
    assert [(step["step_slug"], step["depends_on"]) for step in flow["steps"]] == [
        ("fetch_data", []),
        ("process_batch", ["fetch_data"]),
        ("save_results", ["process_batch"]),
    ]


def test_defaults_are_the_guide_s_wherever_they_are_stated() -> None:
    flow_builder.create_flow("by_call")
    flow_builder.add_step("by_call", "step")
    with connection.cursor() as cursor:
        cursor.execute("insert into workflows (workflow_slug) values ('by_sql')")
        cursor.execute(
            "insert into workflow_steps (workflow_slug, step_slug, step_index)"
            " values ('by_sql', 'step', 0)"
        )
    by_call, by_sql = flow_builder.get_flow("by_call"), flow_builder.get_flow("by_sql")
    assert (by_call["max_attempts"], by_call["timeout"], by_call["base_delay"]) == (3, 30, 1)
    for name, option in options.FLOW_OPTIONS.items():
        assert by_call[name] == by_sql[name] == option.default
        assert keyword_default(flow_builder.create_flow, name) == option.default
        assert column_default(Workflow, name) == option.default
    for name, option in options.STEP_OPTIONS.items():
        assert by_call["steps"][0][name] == by_sql["steps"][0][name] == option.default
        assert keyword_default(flow_builder.add_step, name) == option.default
        assert column_default(WorkflowStep, name) == option.default


def column_default(model: Any, name: str) -> Any:
    return model._meta.get_field(name).get_default()


def keyword_default(function: Callable[..., Any], name: str) -> Any:
    parameter = inspect.signature(function).parameters[name]
    assert parameter.kind == inspect.Parameter.KEYWORD_ONLY
    return parameter.default


def test_every_option_is_stored_and_given_back_under_its_column_name() -> None:
    workflow = flow_builder.create_flow("orders", **FLOW_OPTIONS)
    step = flow_builder.add_step("orders", "fetch", **STEP_OPTIONS)
    flow = flow_builder.get_flow("orders")
    for name, value in FLOW_OPTIONS.items():
        assert getattr(workflow, name) == flow[name] == value
    for name, value in STEP_OPTIONS.items():
        assert getattr(step, name) == flow["steps"][0][name] == value
    columns = {field.column for field in Workflow._meta.concrete_fields}
    assert flow.keys() == columns | {"steps"}
    columns = {field.column for field in WorkflowStep._meta.concrete_fields}
    assert flow["steps"][0].keys() == columns | {"depends_on"}
    assert isinstance(flow["created_at"], dt.datetime)


def test_an_empty_function_means_the_step_s_slug(flow: str) -> None:
    assert flow_builder.add_step(flow, "save", function="").function is None


def test_list_flows_gives_the_newest_first() -> None:
    for slug in ("b", "c", "a"):
        flow_builder.create_flow(slug, max_attempts=1)
    flows = flow_builder.list_flows()
    assert [row["workflow_slug"] for row in flows] == ["a", "c", "b"]
    assert flows[0]["max_attempts"] == 1
    assert "steps" not in flows[0]


def test_slugs_that_differ_by_case_are_different_flows() -> None:
    for slug in ("Orders", "orders", "ORDERS"):
        flow_builder.create_flow(slug)
        flow_builder.add_step(slug, f"of_{slug}")
        flow_builder.add_step(slug, f"OF_{slug}")
    flow_builder.delete_flow("Orders")
    assert {row["workflow_slug"] for row in flow_builder.list_flows()} == {"orders", "ORDERS"}
    steps = flow_builder.get_flow("ORDERS")["steps"]
    assert [step["step_slug"] for step in steps] == ["of_ORDERS", "OF_ORDERS"]


def test_long_slugs_and_slugs_that_differ_by_case_run_side_by_side() -> None:
    """Defect 8 of the ancestors: long slugs failed at the queue, cases shared one."""
    slugs = ["x" * 128, "X" * 128, "x" * 127, "Orders", "orders"]
    for slug in slugs:
        flow_builder.create_flow(slug)
        flow_builder.add_step(slug, slug)
    for slug in slugs:
        assert executor.execute_dynamic(slug, {}, {slug: lambda _, own=slug: own}) == {slug: slug}


def test_depends_on_is_told_in_the_order_of_the_steps(flow: str) -> None:
    flow_builder.add_step(flow, "join", ["check", "fetch"])
    assert flow_builder.get_flow(flow)["steps"][-1]["depends_on"] == ["fetch", "check"]


def test_the_version_counts_every_change_by_one() -> None:
    assert flow_builder.create_flow("orders").version == 1
    for number, step in enumerate("abc"):
        flow_builder.add_step("orders", step, list("abc"[:number]))
        assert flow_builder.get_flow("orders")["version"] == number + 2
    with pytest.raises(PgflowError):
        flow_builder.add_step("orders", "d", ["nobody"])
    assert flow_builder.get_flow("orders")["version"] == 4


def test_a_flow_is_read_in_one_query(flow: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        flow_builder.get_flow(flow)
    assert len(queries) == 1


def test_delete_flow_takes_everything_of_the_flow(flow: str) -> None:
    flow_builder.create_flow("other")
    flow_builder.delete_flow(flow)
    assert stored() == (1, 0, 0)


def test_delete_flow_keeps_runs_as_history_and_refuses_active_ones(flow: str) -> None:
    run = executor.start_flow(flow)
    message = refused(
        exceptions.WorkflowConflict, "workflow_has_active_runs", flow_builder.delete_flow, flow
    )
    assert message == (
        'Flow "orders" has an active run. Wait for the end, cancel with executor.cancel_run(), '
        "or delete the flow with force=True, which cancels them."
    )
    executor.cancel_run(run.id)
    flow_builder.delete_flow(flow)
    assert executor.get_run_status(run.id).status == "cancelled"


def test_delete_flow_by_force_cancels_active_runs_first(flow: str) -> None:
    runs = executor.start_flows(flow, [{}, {}])
    flow_builder.delete_flow(flow, force=True)
    assert stored() == (0, 0, 0)
    assert {executor.get_run_status(run.id).status for run in runs} == {"cancelled"}


def test_a_flow_made_anew_goes_on_counting_where_runs_left_off(flow: str) -> None:
    run = executor.start_flow(flow)
    assert run.version == 3
    flow_builder.delete_flow(flow, force=True)
    assert flow_builder.create_flow(flow).version == 4


def test_using_names_the_database_and_the_router_decides_without_it(
    flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flow_builder.get_flow(flow, using=DEFAULT_DB_ALIAS)["workflow_slug"] == flow
    monkeypatch.setattr(router, "db_for_write", lambda model: f"write_{model._meta.model_name}")
    monkeypatch.setattr(router, "db_for_read", lambda model: f"read_{model._meta.model_name}")
    with pytest.raises(Exception, match="write_workflow"):
        flow_builder.create_flow("other")
    with pytest.raises(Exception, match="read_workflow"):
        flow_builder.list_flows()


# What they refuse


@pytest.mark.parametrize("slug", [*INVALID_SLUGS, *INVALID_IN_PYTHON])
def test_bad_slugs_are_refused(slug: Any, flow: str) -> None:
    refused(exceptions.InvalidSlug, "invalid_workflow_slug", flow_builder.create_flow, slug)
    refused(exceptions.InvalidSlug, "invalid_step_slug", flow_builder.add_step, flow, slug)


@pytest.mark.parametrize(
    ("slug", "message"),
    [
        ("run", 'The flow name "run" is a reserved word.'),
        ("", 'The flow name "" is empty.'),
        (None, 'The workflow_slug is missing: it names the flow, like "send_invoices".'),
        (5, "The flow name 5 is int, not text."),
        ("x" * 129, f'The flow name "{"x" * 60}…" has 129 characters; at most 128 are allowed.'),
        (
            "a b",
            ('The flow name "a b" must be letters a-z, digits and underscores, and not begin with '
            "a digit."),
        ),
    ],
)  # fmt: skip
def test_the_message_about_a_bad_slug_tells_the_rule(slug: Any, message: str) -> None:
    assert message == refused(
        exceptions.InvalidSlug, "invalid_workflow_slug", flow_builder.create_flow, slug
    )


@pytest.mark.parametrize("slug", ["a" * 128, "_", "RUN"])
def test_odd_but_good_slugs_pass(slug: str) -> None:
    flow_builder.create_flow(slug)
    flow_builder.add_step(slug, slug)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("max_attempts", -1, "must be a whole number from 0 to 1,000."),
        ("max_attempts", 1_001, "must be a whole number from 0 to 1,000."),
        ("max_attempts", None, "must be a whole number from 0 to 1,000."),
        ("max_attempts", True, "must be a whole number from 0 to 1,000."),
        ("max_attempts", "3", "must be a whole number from 0 to 1,000."),
        ("timeout", 0, "must be a whole number from 1 to 604,800 (seconds)."),
        ("timeout", 604_801, "must be a whole number from 1 to 604,800 (seconds)."),
        ("timeout", 30.0, "must be a whole number from 1 to 604,800 (seconds)."),
        ("timeout", [10**5_000], "must be a whole number from 1 to 604,800 (seconds)."),
        ("base_delay", -1, "must be a whole number from 0 to 604,800 (seconds)."),
        ("base_delay", 604_801, "must be a whole number from 0 to 604,800 (seconds)."),
        ("base_delay", [1], "must be a whole number from 0 to 604,800 (seconds)."),
        ("queue", "", "must be 1 to 40 characters a-z, 0-9 and underscore"),
        ("queue", "GPU", "must be 1 to 40 characters a-z, 0-9 and underscore"),
        ("queue", "q" * 41, "must be 1 to 40 characters a-z, 0-9 and underscore"),
        ("queue", "q\n", "must be 1 to 40 characters a-z, 0-9 and underscore"),
        ("queue", None, "must be 1 to 40 characters a-z, 0-9 and underscore"),
        ("queue", "in_process", "is reserved for runs that their caller executes."),
        ("description", None, "must be text."),
        ("description", "d" * 10_001, "has 10,001 characters, but may have at most 10,000."),
        ("description", "a\0", "holds the character \\u0000, which PostgreSQL can't store"),
        ("description", "\ud800", "holds the lone surrogate \\ud800"),
        ("input_schema", [], "must be a JSON object."),
        ("input_schema", {"a": {1}}, "can't be stored as JSON: $.a is of type set"),
        ("input_schema", {"a": float("nan")}, "can't be stored as JSON: $.a is nan"),
        ("input_schema", {"a": "x" * 2**20}, "but at most 1,048,576 are allowed"),
    ],
)
def test_a_flow_s_bad_options_are_refused(option: str, value: Any, rule: str) -> None:
    message = refused(
        exceptions.InvalidWorkflow,
        f"invalid_{option}",
        flow_builder.create_flow,
        "orders",
        **{option: value},
    )
    assert message.startswith(f'Flow "orders": {option} ')
    assert rule in message


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("step_type", "loop", 'is "loop", but must be "single" or "map".'),
        ("step_type", None, 'is None, but must be "single" or "map".'),
        ("initial_tasks", 0, "is 0, but must be a whole number from 1 to 1,000,000."),
        ("initial_tasks", 1_000_001, "must be a whole number from 1 to 1,000,000."),
        ("initial_tasks", 1.5, "is 1.5, but must be a whole number from 1 to 1,000,000."),
        ("initial_tasks", True, "is True, but must be a whole number from 1 to 1,000,000."),
        ("max_attempts", 1_001, "must be a whole number from 0 to 1,000."),
        ("max_attempts", False, "must be a whole number from 0 to 1,000."),
        ("timeout", 0, "must be a whole number from 1 to 604,800 (seconds)."),
        ("base_delay", 604_801, "must be a whole number from 0 to 604,800 (seconds)."),
        ("start_delay", -1, "must be a whole number from 0 to 604,800 (seconds)."),
        ("start_delay", None, "must be a whole number from 0 to 604,800 (seconds)."),
        ("function", "os.system('x')", "must be 1 to 255 letters a-z, digits, underscores and"),
        ("function", "f" * 256, "must be 1 to 255 letters a-z, digits, underscores and dots"),
        ("function", len, "must be 1 to 255 letters a-z, digits, underscores and dots"),
        ("params", {"when": dt.date(2001, 1, 1)}, "$.when is of type datetime.date"),
        ("params", "\0", "$ holds the character \\u0000"),
        ("queue", "in_process", "is reserved for runs that their caller executes."),
        ("queue", 5, "is 5, but must be 1 to 40 characters"),
    ],
)
def test_a_step_s_bad_options_are_refused(flow: str, option: str, value: Any, rule: str) -> None:
    message = refused(
        exceptions.InvalidStepOption,
        f"invalid_{option}",
        flow_builder.add_step,
        flow,
        "save",
        **{option: value},
    )
    assert message.startswith(f'Step "save" of flow "orders": {option} ')
    assert rule in message


def test_limits_themselves_pass() -> None:
    for number, (low, high) in enumerate([(0, 1), (1_000, 604_800)]):
        slug = f"flow_{number}"
        flow_builder.create_flow(
            slug,
            max_attempts=low,
            timeout=high,
            base_delay=0 if number == 0 else 604_800,
            queue="q" * 40,
            description="é" * 10_000,
        )
        flow_builder.add_step(
            slug,
            "step",
            step_type="map",
            initial_tasks=1 if number == 0 else 1_000_000,
            start_delay=604_800,
            function="f" * 255,
        )


@pytest.mark.parametrize("word", ["retries", "step_slug", "max_attempt"])
def test_unknown_options_are_type_errors(flow: str, word: str) -> None:
    with pytest.raises(TypeError, match=word):
        flow_builder.create_flow("other", **{word: 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=word):
        flow_builder.add_step(flow, "other", **{word: 1})  # type: ignore[arg-type]


def test_a_slug_that_is_taken_is_refused_and_leaves_the_flow(flow: str) -> None:
    message = refused(
        exceptions.WorkflowExists,
        "workflow_already_exists",
        flow_builder.create_flow,
        flow,
        timeout=99,
    )
    assert message.startswith('There is a flow "orders" already. Choose another slug')
    assert flow_builder.get_flow(flow)["timeout"] == 30


def test_a_step_that_is_there_is_refused_and_stays_as_it_is(flow: str) -> None:
    """Defect 5 of the ancestors: adding a step again could make a cycle."""
    message = refused(
        exceptions.StepExists,
        "duplicate_step_slug",
        flow_builder.add_step,
        flow,
        "fetch",
        ["check"],
        timeout=99,
    )
    assert 'Step "fetch" of flow "orders": the flow has a step of this name already' in message
    step = flow_builder.get_flow(flow)["steps"][0]
    assert (step["timeout"], step["depends_on"]) == (None, [])


@pytest.mark.parametrize(
    ("depends_on", "error", "code", "text"),
    [
        (
            ["fetsh"], exceptions.MissingDependencies, "missing_dependencies",
            'it depends on "fetsh", but the flow has no such step. Did you mean "fetch"?',
        ),
        (
            ["fetch", "nobody", "nowhere"], exceptions.MissingDependencies, "missing_dependencies",
            'it depends on "nowhere", but the flow has no such step.',
        ),
        (
            ["fetch", "check", "fetch"], exceptions.DuplicateDependency, "duplicate_dependency",
            'it depends on "fetch" twice; once is enough.',
        ),
        (
            ["save"], exceptions.SelfDependency, "self_dependency",
            "it depends on itself, and would wait for ever.",
        ),
        (
            "fetch", exceptions.InvalidStepOption, "invalid_depends_on",
            'depends_on is "fetch", but must be a list of step names.',
        ),
        (
            None, exceptions.InvalidStepOption, "invalid_depends_on",
            "depends_on is None, but must be a list of step names.",
        ),
        (
            [None], exceptions.InvalidStepOption, "invalid_depends_on",
            "depends_on holds None, but must hold step names.",
        ),
    ],
)  # fmt: skip
def test_bad_dependencies_are_refused_and_leave_no_step_behind(
    flow: str, depends_on: Any, error: type[PgflowError], code: str, text: str
) -> None:
    """Defects 5 and 12 of the ancestors: a dependency given twice, and one that is not there."""
    message = refused(error, code, flow_builder.add_step, flow, "save", depends_on)
    assert message.startswith('Step "save" of flow "orders": ')
    assert text in message


def test_a_map_step_takes_one_dependency_at_most(flow: str) -> None:
    message = refused(
        exceptions.MapStepConstraint,
        "map_step_constraint_violation",
        flow_builder.add_step,
        flow,
        "save",
        ["fetch", "check"],
        step_type="map",
    )
    assert message == (
        'Step "save" of flow "orders": a map step has at most one dependency, whose list it maps '
        "over, but this one has 2 (fetch, check). Join them in a single step before it."
    )


def test_all_that_is_wrong_is_told_at_once_under_the_code_of_the_first(flow: str) -> None:
    with pytest.raises(exceptions.InvalidStepOption) as caught:
        flow_builder.add_step(flow, "save", step_type="loop", timeout=0)
    assert caught.value.code == "invalid_step_type"
    assert "timeout is 0" in str(caught.value)
    problems = caught.value.problems
    assert [problem.code for problem in problems] == ["invalid_step_type", "invalid_timeout"]


@pytest.mark.parametrize(
    "call",
    [
        flow_builder.get_flow,
        flow_builder.export_flow,
        flow_builder.delete_flow,
        lambda slug: flow_builder.add_step(slug, "step"),
    ],
)
@pytest.mark.parametrize(
    ("slug", "message"),
    [
        ("order", 'There is no flow "order". Did you mean "orders"?'),
        ("ORDERS", 'There is no flow "ORDERS". Did you mean "orders"?'),
        (
            "zzz",
            'There is no flow "zzz". Create it first, with flow_builder.create_flow().',
        ),
        (None, "There is no flow None. Create it first, with flow_builder.create_flow()."),
        ("a\0", 'There is no flow "a\\u0000". Create it first, with flow_builder.create_flow().'),
    ],
)  # fmt: skip
def test_an_unknown_flow_is_told_with_the_nearest_names(
    flow: str, call: Callable[[Any], Any], slug: Any, message: str
) -> None:
    assert refused(exceptions.WorkflowNotFound, "workflow_not_found", call, slug) == message


def test_a_flow_has_at_most_2000_steps_and_20000_dependencies() -> None:
    flow_builder.create_flow_from_spec(
        {"workflow_slug": "big", "steps": [{"slug": f"s{n}"} for n in range(2_000)]}
    )
    message = refused(
        exceptions.InvalidStep, "too_many_steps", flow_builder.add_step, "big", "one_more"
    )
    assert message == 'Flow "big": it may have at most 2,000 steps, and would have 2,001.'
    slugs = [f"s{n}" for n in range(200)]
    steps: list[dict[str, Any]] = [{"slug": slug} for slug in slugs]
    steps += [{"slug": f"t{n}", "depends_on": slugs} for n in range(100)]
    flow_builder.create_flow_from_spec({"workflow_slug": "dense", "steps": steps})
    message = refused(
        exceptions.InvalidStep,
        "too_many_dependencies",
        flow_builder.add_step,
        "dense",
        "one_more",
        ["s0"],
    )
    assert message == (
        'Flow "dense": its steps may have at most 20,000 dependencies in all, and would have '
        "20,001."
    )


# Transactions


def test_flow_and_steps_roll_back_with_the_caller() -> None:
    class Rollback(Exception):
        pass

    def build() -> None:
        with transaction.atomic():
            flow_builder.create_flow("orders")
            flow_builder.add_step("orders", "fetch")
            flow_builder.add_step("orders", "check", ["fetch"])
            raise Rollback

    with pytest.raises(Rollback):
        build()
    assert stored() == (0, 0, 0)


def test_an_error_leaves_the_caller_s_transaction_usable(flow: str) -> None:
    with transaction.atomic():
        for call in (
            lambda: flow_builder.create_flow(flow),
            lambda: flow_builder.add_step(flow, "fetch"),
            lambda: flow_builder.add_step(flow, "save", ["nobody"]),
            lambda: flow_builder.get_flow("nobody"),
            lambda: flow_builder.delete_flow("nobody"),
        ):
            with pytest.raises(PgflowError):
                call()
        flow_builder.add_step(flow, "save", ["check"])
    assert len(flow_builder.get_flow(flow)["steps"]) == 3


def test_code_flows_are_not_edited(flow: str) -> None:
    Workflow.objects.update(origin="code")
    message = refused(
        exceptions.WorkflowConflict,
        "workflow_origin_conflict",
        flow_builder.add_step,
        flow,
        "save",
    )
    assert message == ('Flow "orders" is defined in code; change it there, or choose another slug.')


def test_other_broken_constraints_are_not_taken_for_a_slug_that_is_taken() -> None:
    with pytest.raises(IntegrityError, match="workflow_version_is_positive"):
        definition_store.insert_workflow(DEFAULT_DB_ALIAS, workflow_slug="flow", version=0)


def test_rows_introduce_themselves(flow: str) -> None:
    executor.start_flow(flow)
    models = (Workflow, WorkflowStep, WorkflowStepDependency, WorkflowVersion)
    assert [str(model.objects.order_by("pk")[0]) for model in models] == [
        "orders",
        "orders.check",
        "orders: fetch → check",
        "orders v3",
    ]
    step = WorkflowVersionStep.objects.order_by("pk")[0]
    assert str(step) == f"{step.version_id}.check"


def test_the_module_is_reached_through_the_package() -> None:
    assert pgflow_django.flow_builder is flow_builder
