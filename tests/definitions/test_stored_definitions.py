"""What the tables of definitions refuse and keep right by themselves, tried with raw SQL."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from pgflow_django import executor
from pgflow_django.definitions import options
from pgflow_django.models import Workflow, WorkflowStep

pytestmark = pytest.mark.django_db


def sql(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def check_now() -> None:
    """Run the checks that wait for the end of the transaction."""
    sql("set constraints all immediate")
    sql("set constraints all deferred")


def add_flow(slug: str = "flow") -> None:
    sql("insert into workflows (workflow_slug) values (%s)", slug)


def add_steps(*slugs: str, flow: str = "flow") -> None:
    for slug in slugs:
        sql(
            "insert into workflow_steps (workflow_slug, step_slug, step_index)"
            " select %s, %s, count(*) from workflow_steps where workflow_slug = %s",
            flow,
            slug,
            flow,
        )


def add_edges(*edges: str, flow: str = "flow") -> None:
    """``"a>b"``: b waits for a. All in one statement."""
    rows = [(flow, *edge.split(">")) for edge in edges]
    values = ", ".join(["(%s, %s, %s)"] * len(rows))
    sql(
        "insert into workflow_step_dependencies_def (workflow_slug, dep_slug, step_slug)"
        f" values {values}",
        *(field for row in rows for field in row),
    )


def version(flow: str = "flow") -> int:
    return Workflow.objects.get(workflow_slug=flow).version


def deps_counts(flow: str = "flow") -> dict[str, int]:
    return dict(
        WorkflowStep.objects.filter(workflow_slug=flow).values_list("step_slug", "deps_count")
    )


def refuses(constraint: str, statement: str, *parameters: Any) -> str:
    """Run ``statement`` and the deferred checks; the message of the error that must come."""

    @transaction.atomic
    def run() -> None:
        sql(statement, *parameters)
        check_now()

    with pytest.raises(IntegrityError) as caught:
        run()
    error: Any = caught.value.__cause__
    assert error.diag.constraint_name == constraint
    return str(caught.value)


# Columns


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("max_attempts", -1, "workflow_max_attempts_is_in_range"),
        ("max_attempts", 1_001, "workflow_max_attempts_is_in_range"),
        ("timeout", 0, "workflow_timeout_is_in_range"),
        ("timeout", 604_801, "workflow_timeout_is_in_range"),
        ("base_delay", -1, "workflow_base_delay_is_in_range"),
        ("base_delay", 604_801, "workflow_base_delay_is_in_range"),
        ("queue", "", "workflow_queue_follows_the_queue_rule"),
        ("queue", "GPU", "workflow_queue_follows_the_queue_rule"),
        ("queue", "gpu\n", "workflow_queue_follows_the_queue_rule"),
        ("queue", "in_process", "workflow_queue_follows_the_queue_rule"),
        ("queue", "q" * 41, "workflow_queue_follows_the_queue_rule"),
        ("description", "d" * 10_001, "workflow_description_is_not_too_long"),
        ("input_schema", "[]", "workflow_input_schema_is_an_object"),
        ("version", 0, "workflow_version_is_positive"),
        ("origin", "elsewhere", "workflow_origin_is_known"),
    ],
)
def test_a_flow_with_a_bad_column_is_refused(column: str, value: Any, constraint: str) -> None:
    add_flow()
    refuses(constraint, f"update workflows set {column} = %s", value)
    refuses(
        constraint, f"insert into workflows (workflow_slug, {column}) values ('other', %s)", value
    )


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("step_type", "loop", "step_type_is_known"),
        ("step_index", -1, "step_index_is_in_range"),
        ("step_index", options.MAX_STEPS, "step_index_is_in_range"),
        ("step_index", 1, "step_index_is_unique_within_a_workflow"),
        ("deps_count", 1, "deps_count_agrees_with_edges"),
        ("initial_tasks", 0, "step_initial_tasks_is_in_range"),
        ("initial_tasks", 1_000_001, "step_initial_tasks_is_in_range"),
        ("max_attempts", -1, "step_max_attempts_is_in_range"),
        ("max_attempts", 1_001, "step_max_attempts_is_in_range"),
        ("timeout", 0, "step_timeout_is_in_range"),
        ("timeout", 604_801, "step_timeout_is_in_range"),
        ("base_delay", -1, "step_base_delay_is_in_range"),
        ("base_delay", 604_801, "step_base_delay_is_in_range"),
        ("start_delay", -1, "step_start_delay_is_in_range"),
        ("start_delay", 604_801, "step_start_delay_is_in_range"),
        ("function", "", "step_function_follows_the_function_rule"),
        ("function", "os.system()", "step_function_follows_the_function_rule"),
        ("function", "f" * 256, "step_function_follows_the_function_rule"),
        ("description", "d" * 2_001, "step_description_is_not_too_long"),
        ("queue", "1st", "step_queue_follows_the_queue_rule"),
        ("queue", "in_process", "step_queue_follows_the_queue_rule"),
    ],
)
def test_a_step_with_a_bad_column_is_refused(column: str, value: Any, constraint: str) -> None:
    add_flow()
    add_steps("a", "b")
    refuses(constraint, f"update workflow_steps set {column} = %s where step_slug = 'a'", value)


@pytest.mark.parametrize("column", ["workflow_slug", "created_at"])
def test_key_and_birth_of_a_flow_never_change(column: str) -> None:
    add_flow()
    value = "other" if column == "workflow_slug" else "2001-01-01"
    with pytest.raises(DatabaseError, match="Cannot update"):
        sql(f"update workflows set {column} = %s", value)


@pytest.mark.parametrize("column", ["workflow_slug", "step_slug"])
def test_the_key_of_a_step_never_changes(column: str) -> None:
    add_flow()
    add_flow("other")
    add_steps("a")
    with pytest.raises(DatabaseError, match="Cannot update"):
        sql(f"update workflow_steps set {column} = 'other'")


def test_an_edge_never_changes() -> None:
    add_flow()
    add_steps("a", "b", "c")
    add_edges("a>c")
    with pytest.raises(DatabaseError, match="Cannot update"):
        sql("update workflow_step_dependencies_def set dep_slug = 'b'")


# Edges


def test_edges_join_steps_of_one_flow() -> None:
    add_flow()
    add_flow("other")
    add_steps("a", "b")
    add_steps("c", flow="other")
    insert = "insert into workflow_step_dependencies_def values (%s, %s, %s)"
    refuses("dependency_is_a_step_of_the_same_workflow", insert, "flow", "c", "a")
    refuses("dependency_is_waited_for_by_a_step", insert, "flow", "a", "c")
    refuses("step_does_not_wait_for_itself", insert, "flow", "a", "a")


def test_steps_belong_to_a_flow() -> None:
    refuses(
        "step_belongs_to_a_workflow",
        "insert into workflow_steps (workflow_slug, step_slug, step_index) values ('no', 'a', 0)",
    )


def test_a_map_step_gets_no_second_dependency() -> None:
    add_flow()
    add_steps("a", "b", "c")
    sql("update workflow_steps set step_type = 'map' where step_slug = 'c'")
    add_edges("a>c")
    refuses(
        "map_step_has_at_most_one_dependency",
        "insert into workflow_step_dependencies_def values ('flow', 'b', 'c')",
    )


def test_a_step_with_two_dependencies_does_not_become_a_map() -> None:
    add_flow()
    add_steps("a", "b", "c")
    add_edges("a>c", "b>c")
    refuses(
        "map_step_has_at_most_one_dependency",
        "update workflow_steps set step_type = 'map' where step_slug = 'c'",
    )


def test_no_door_stores_a_cycle() -> None:
    add_flow()
    add_steps("a", "b", "c", "d", "before", "behind")
    add_edges("before>a", "a>b", "b>c", "c>d", "d>behind")
    check_now()
    message = refuses(
        "flow_has_no_cycle",
        "insert into workflow_step_dependencies_def values ('flow', 'd', 'b')",
    )
    assert 'Flow "flow" has a cycle: ' in message
    assert any(path in message for path in ("b → c → d → b", "c → d → b → c", "d → b → c → d"))


@pytest.mark.parametrize(
    ("deps_count", "constraint"),
    [(-1, "step_deps_count_is_not_negative"), (2, "deps_count_agrees_with_edges")],
)
def test_a_step_that_claims_dependencies_must_get_them(deps_count: int, constraint: str) -> None:
    add_flow()
    add_steps("a")
    message = refuses(
        constraint,
        "insert into workflow_steps (workflow_slug, step_slug, step_index, deps_count)"
        " values ('flow', 'b', 1, %s)",
        deps_count,
    )
    if deps_count == 2:
        assert 'Step "b" of flow "flow" has deps_count 2, but 0 dependencies.' in message


def test_a_cycle_may_be_mended_before_the_transaction_ends() -> None:
    add_flow()
    add_steps("a", "b")
    add_edges("a>b", "b>a")
    sql("delete from workflow_step_dependencies_def where dep_slug = 'b'")
    check_now()
    assert deps_counts() == {"a": 0, "b": 1}


def test_a_cycle_is_found_behind_checks_that_passed_in_the_same_transaction() -> None:
    add_flow()
    add_steps("a", "b")
    sql("set constraints all immediate")
    add_edges("a>b")
    with pytest.raises(IntegrityError, match=r"has a cycle: [ab] → [ab] → [ab]"):
        add_edges("b>a")


def test_at_most_20_000_dependencies() -> None:
    add_flow()
    sql(
        "insert into workflow_steps (workflow_slug, step_slug, step_index)"
        " select 'flow', 's' || i, i from generate_series(0, 299) i"
    )
    insert = (
        "insert into workflow_step_dependencies_def"
        " select 'flow', 's' || a, 's' || b from generate_series(0, 299) a,"
        " generate_series(0, 299) b where a < b order by b, a limit %s"
    )
    message = refuses("flow_has_not_too_many_dependencies", insert, 20_001)
    assert 'Flow "flow" has 20001 dependencies, but may have at most 20,000.' in message
    sql(insert, 20_000)
    check_now()


def test_one_edge_at_a_time_is_checked_once_at_the_end() -> None:
    add_flow()
    add_steps(*(f"s{number}" for number in range(60)))
    for number in range(1, 60):
        add_edges(f"s{number - 1}>s{number}")
    sql("create temporary table checked (slug text) on commit drop")
    sql(
        "create or replace function pgflow._check_definition(slug text) returns void"
        " language sql as $$ insert into pg_temp.checked values (slug) $$"
    )
    check_now()
    assert sql("select * from checked") == [("flow",)]


# Derived counts and versions


def test_deps_count_follows_the_edges() -> None:
    add_flow()
    add_steps("a", "b", "c")
    add_edges("a>b", "a>c", "b>c")
    assert deps_counts() == {"a": 0, "b": 1, "c": 2}
    sql("delete from workflow_step_dependencies_def where step_slug = 'c' and dep_slug = 'a'")
    assert deps_counts() == {"a": 0, "b": 1, "c": 1}
    sql("delete from workflow_steps where step_slug = 'b'")
    assert deps_counts() == {"a": 0, "c": 0}
    check_now()


@pytest.mark.parametrize(
    "statement",
    [
        "update workflows set max_attempts = 9",
        "update workflows set timeout = 9",
        "update workflows set base_delay = 9",
        "update workflows set queue = 'gpu'",
        "update workflows set description = 'new'",
        "update workflows set input_schema = '{}'",
        (
            "insert into workflow_steps (workflow_slug, step_slug, step_index) values"
            " ('flow', 'd', 3), ('flow', 'e', 4)"
        ),
        "update workflow_steps set timeout = 9",
        "update workflow_steps set params = '{}' where step_slug = 'a'",
        "update workflow_steps set step_index = 9 where step_slug = 'a'",
        "delete from workflow_steps where step_slug = 'a'",
        "delete from workflow_steps where step_slug = 'c'",
        "insert into workflow_step_dependencies_def values ('flow', 'a', 'c')",
        "delete from workflow_step_dependencies_def",
        (
            "with gone as (delete from workflow_step_dependencies_def where dep_slug = 'b')"
            " insert into workflow_step_dependencies_def values ('flow', 'a', 'c')"
        ),
        "copy workflow_steps (workflow_slug, step_slug, step_index) from stdin",
    ],
)
def test_a_changing_statement_counts_the_version_up_by_one(statement: str) -> None:
    add_flow()
    add_flow("other")
    add_steps("a", "b", "c")
    add_edges("a>b", "b>c")
    before, before_other = version(), version("other")
    if statement.startswith("copy"):
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write_row(("flow", "d", 3))
    else:
        sql(
            statement
            + (
                " where workflow_slug = 'flow'"
                if " where" not in statement and statement.startswith("update")
                else ""
            )
        )
    assert version() == before + 1
    assert version("other") == before_other


@pytest.mark.parametrize(
    "statement",
    [
        "update workflows set timeout = timeout",
        "update workflows set is_active = false, created_by = 'me', fingerprint = 'f'",
        "update workflow_steps set timeout = timeout, params = params",
        "delete from workflow_steps where step_slug = 'nobody'",
    ],
)
def test_a_statement_that_changes_no_definition_leaves_the_version(statement: str) -> None:
    add_flow()
    add_steps("a")
    before = version()
    sql(statement)
    assert version() == before


def test_edges_that_their_step_announced_belong_to_its_version() -> None:
    add_flow()
    add_steps("a", "b")
    before = version()
    sql(
        "insert into workflow_steps (workflow_slug, step_slug, step_index, deps_count)"
        " values ('flow', 'c', 2, 2)"
    )
    add_edges("a>c", "b>c")
    check_now()
    assert version() == before + 1


def test_edges_behind_a_run_that_took_the_version_make_a_new_one() -> None:
    add_flow()
    add_steps("a")
    sql(
        "insert into workflow_steps (workflow_slug, step_slug, step_index, deps_count)"
        " values ('flow', 'b', 1, 1)"
    )
    taken = executor.start_flow("flow").version
    add_edges("a>b")
    assert version() == taken + 1
    check_now()


def test_a_number_that_runs_know_is_not_given_again() -> None:
    add_flow()
    add_steps("a")
    sql("update workflows set version = 4")
    executor.cancel_run(executor.start_flow("flow").id)
    sql("delete from workflows")
    add_flow()
    assert version() == 5
    sql("update workflows set version = 7")
    sql("update workflows set version = 5")
    message = refuses("version_is_not_used_again", "update workflows set version = 4")
    assert 'Flow "flow" has had runs of version 4 already.' in message
    sql("update workflows set timeout = 9")
    assert version() == 6


# Deletion and snapshots


@pytest.mark.parametrize("status", ["started", "paused"])
def test_a_flow_with_an_active_run_is_not_deleted(status: str) -> None:
    add_flow()
    add_steps("a")
    executor.start_flow("flow")
    sql("update workflow_runs set status = %s where status <> %s", status, status)
    message = refuses("active_flow_cannot_be_deleted", "delete from workflows")
    assert 'Flow "flow" has active runs. Cancel them before you delete it.' in message


def test_a_deleted_flow_takes_steps_and_edges_along_and_leaves_versions_and_runs() -> None:
    add_flow()
    add_steps("a", "b")
    add_edges("a>b")
    executor.cancel_run(executor.start_flow("flow").id)
    add_steps("c")
    last = version()
    sql("delete from workflows")
    check_now()
    counts = sql(
        "select (select count(*) from workflow_steps),"
        " (select count(*) from workflow_step_dependencies_def),"
        " (select count(*) from workflow_versions), (select count(*) from workflow_version_steps),"
        " (select count(*) from workflow_runs)"
    )
    assert counts == [(0, 0, 2, 2, 1)]
    assert sql("select max(version) from workflow_versions") == [(last,)]


def test_versions_and_their_steps_never_change() -> None:
    add_flow()
    add_steps("a")
    executor.start_flow("flow")
    for table in ("workflow_versions", "workflow_version_steps"):
        column = "version" if table == "workflow_versions" else "timeout"
        with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
            sql(f"update {table} set {column} = 9")
    refuses("used_version_cannot_be_deleted", "delete from workflow_versions")
    refuses("version_loses_no_step", "delete from workflow_version_steps")


def test_a_version_without_runs_goes_with_its_steps() -> None:
    add_flow()
    add_steps("a")
    sql("select pgflow.pin_version('flow')")
    sql("delete from workflow_versions")
    assert sql("select count(*) from workflow_version_steps") == [(0,)]
