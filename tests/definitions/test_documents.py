"""Flow documents: every kind of problem, and what is stored of good ones."""

from __future__ import annotations

from typing import Any

import pytest

import pgflow_django
from pgflow_django import exceptions, flow_builder
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.definitions.problems import Problem
from pgflow_django.exceptions import PgflowError
from pgflow_django.flow_builder import validate_flow
from pgflow_django.models import Workflow, WorkflowStep
from pgflow_django.registry import registry

GUIDE = {
    "workflow_slug": "ai_data_pipeline",
    "steps": [
        {"slug": "fetch_data", "depends_on": [], "type": "single"},
        {"slug": "process_batch", "depends_on": ["fetch_data"], "type": "map"},
        {"slug": "save_results", "depends_on": ["process_batch"], "type": "single"},
    ],
}


def flow(*steps: Any, **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


def steps(*edges: str, **more: Any) -> dict[str, Any]:
    """``"c<a,b"``: step c waits for a and b."""
    rows = []
    for edge in edges:
        slug, _, dependencies = edge.partition("<")
        rows.append(
            {"slug": slug, **({"depends_on": dependencies.split(",")} if dependencies else {})}
        )
    return flow(*rows, **more)


def only(document: Any) -> Problem:
    """The one problem of a document. Where it has a fix, the fix must do so."""
    [problem] = validate_flow(document)
    if problem.fix:
        assert validate_flow(apply_patch(document, problem.fix)) == []
    return problem


def test_what_has_no_slug_is_not_called_none() -> None:
    steps = [{}, {"uses": "f", "timeout": 0, "depends_on": ["x"]}, {"slug": None}, 5]
    for document in ({"steps": steps, "timeout": 0}, {}, {"workflow_slug": None, "steps": steps}):
        messages = [problem.message for problem in validate_flow(document)]
        assert messages
        assert [message for message in messages if "None" in message] == []


def test_the_guide_s_short_shape_has_no_problem() -> None:
    assert validate_flow(GUIDE) == []


def test_it_is_public() -> None:
    assert pgflow_django.validate_flow is validate_flow


def test_a_problem_is_an_object_of_plain_json() -> None:
    problem = only(steps("fetch", "check<fetsh"))
    assert problem.to_dict() == {
        "code": "missing_dependencies",
        "pointer": "/steps/1/depends_on/0",
        "message": (
            'Step "check" of flow "flow": it depends on "fetsh", but the flow has no such step. '
            'Did you mean "fetch"?'
        ),
        "suggestions": ["fetch"],
        "fix": [{"op": "replace", "path": "/steps/1/depends_on/0", "value": "fetch"}],
        "severity": "error",
        "certain": False,
    }


@pytest.mark.parametrize(
    ("document", "code", "pointer", "text"),
    [
        (None, "invalid_document", "", "A flow document is a JSON object, but this is None."),
        ([], "invalid_document", "", "A flow document is a JSON object, but this is []."),
        ("{}", "invalid_document", "", 'A flow document is a JSON object, but this is "{}".'),
        (flow(steps={}), "invalid_document", "/steps", "steps is {}, but must be a list"),
        (flow(steps=None), "invalid_document", "/steps", "steps is None, but must be a list"),
        (flow("a"), "invalid_document", "/steps/0", 'steps[0] is "a", but must be an object.'),
        ({"steps": [{"slug": "a"}]}, "invalid_workflow_slug", "/workflow_slug", "is missing"),
        (flow({"slug": "a"}, workflow_slug=5), "invalid_workflow_slug", "/workflow_slug", "is int"),
        (flow({"slug": "a"}, workflow_slug="a b"), "invalid_workflow_slug", "/workflow_slug", ""),
        (flow({}), "invalid_step_slug", "/steps/0/slug", "is missing"),
        (flow({"slug": []}), "invalid_step_slug", "/steps/0/slug", "is list, not text"),
        (flow({"slug": "run"}), "invalid_step_slug", "/steps/0/slug", "is a reserved word"),
        (
            flow({"slug": "1 a"}, {"slug": "b", "depends_on": ["1 a"]}),
            "invalid_step_slug", "/steps/0/slug", "must be letters a-z",
        ),
        (
            flow({"slug": "a"}, {"slug": "a"}),
            "duplicate_step_slug", "/steps/1/slug",
            'Step "a" of flow "flow": steps[0] has this name already; each step needs its own.',
        ),
        (
            flow({"slug": "a"}, retries=3),
            "unknown_key", "/retries",
            'Flow "flow": there is no key "retries"; the keys are workflow_slug, max_attempts, ',
        ),
        (
            flow({"slug": "a"}, max_attempt=3),
            "unknown_key", "/max_attempt", 'Did you mean "max_attempts"?',
        ),
        (
            flow({"slug": "a", "step_type": "map"}),
            "unknown_key", "/steps/0/step_type", 'Did you mean "type"?',
        ),
        (
            flow({"slug": "a"}, {"slug": "b", "needs": ["a"]}),
            "unknown_key", "/steps/1/needs", 'Did you mean "depends_on"?',
        ),
        (flow({"slug": "a", "a/b~c": 1}), "unknown_key", "/steps/0/a~1b~0c", '"a/b~c"'),
        (flow({"slug": "a", 5: 1}), "unknown_key", "/steps/0/5", "there is no key 5"),
        (flow({"slug": "a"}, timeout=0), "invalid_timeout", "/timeout", "timeout is 0, but must"),
        (flow({"slug": "a"}, timeout="60"), "invalid_timeout", "/timeout", 'timeout is "60", but'),
        (flow({"slug": "a"}, queue=None), "invalid_queue", "/queue", "queue is None, but must be"),
        (flow({"slug": "a"}, description=5), "invalid_description", "/description", "must be text"),
        (
            flow({"slug": "a", "type": "mapp"}),
            "invalid_step_type", "/steps/0/type",
            'Step "a" of flow "flow": type is "mapp", but must be "single" or "map".',
        ),
        (
            flow({"slug": "a", "type": "map", "initial_tasks": 10**7}),
            "invalid_initial_tasks", "/steps/0/initial_tasks", "from 1 to 1,000,000.",
        ),
        (flow({"slug": "a", "params": {1, 2}}), "invalid_params", "/steps/0/params", "of type set"),
        (flow({"slug": "a", "uses": "a()"}), "invalid_function", "/steps/0/uses", 'uses is "a()"'),
        (
            flow({"slug": "a"}, {"slug": "b", "depends_on": "a"}),
            "invalid_depends_on", "/steps/1/depends_on",
            'Step "b" of flow "flow": depends_on is "a", but must be a list of step names.',
        ),
        (
            flow({"slug": "a", "depends_on": None}),
            "invalid_depends_on", "/steps/0/depends_on", "depends_on is None",
        ),
        (
            flow({"slug": "a", "depends_on": [{}]}),
            "invalid_depends_on", "/steps/0/depends_on/0", "depends_on holds {}, but must hold",
        ),
        (steps("a", "b<zzz"), "missing_dependencies", "/steps/1/depends_on/0", '"zzz", but the'),
        (
            steps("a", "b<a,a"),
            "duplicate_dependency", "/steps/1/depends_on/1", 'it depends on "a" twice',
        ),
        (steps("a", "b<b"), "self_dependency", "/steps/1/depends_on/0", "it depends on itself"),
        (
            steps("a<c", "b<a", "c<b"),
            "cycle_detected", "/steps/0/depends_on/0",
            ('Flow "flow": its steps wait for one another in a cycle: a → b → c → a. '
            "Cut it somewhere."),
        ),
        (
            flow({"slug": "a"}, {"slug": "b"},
                 {"slug": "c", "type": "map", "depends_on": ["a", "b"]}),
            "map_step_constraint_violation", "/steps/2/depends_on",
            ("a map step has at most one dependency, whose list it maps over, but this one has 2 "
            "(a, b)."),
        ),
        (
            steps(*(f"s{n}" for n in range(2_001))),
            "too_many_steps", "/steps",
            'Flow "flow": it may have at most 2,000 steps, and would have 2,001.',
        ),
        (
            steps(*(f"s{n}" for n in range(201)),
                  *(f"t{n}<" + ",".join(f"s{m}" for m in range(201)) for n in range(100))),
            "too_many_dependencies", "/steps", "and would have 20,100.",
        ),
    ],
)  # fmt: skip
def test_every_kind_of_error(document: Any, code: str, pointer: str, text: str) -> None:
    problem = only(document)
    assert (problem.code, problem.pointer) == (code, pointer)
    assert problem.severity == "error"
    assert text in problem.message


@pytest.mark.parametrize(
    ("document", "code", "pointer", "text"),
    [
        (flow(), "workflow_has_no_steps", "/steps", "it has no steps, and can't be started"),
        ({"workflow_slug": "f"}, "workflow_has_no_steps", "/steps", "it has no steps"),
        (
            flow({"slug": "item"}),
            "shadowed_step_slug", "/steps/0/slug",
            ('Step "item" of flow "flow": the key of this name in a step\'s input is taken, so '
            "that no step sees its output."),
        ),
        (
            flow({"slug": "a", "initial_tasks": 3}),
            "unused_initial_tasks", "/steps/0/initial_tasks", "counts for map steps only",
        ),
        (
            flow({"slug": "a", "uses": "orders.fetsh"}),
            "unknown_function", "/steps/0/uses",
            ('Step "a" of flow "flow": no function "orders.fetsh" is registered in this process. '
            'Did you mean "orders.fetch"?'),
        ),
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_every_kind_of_warning(document: Any, code: str, pointer: str, text: str) -> None:
    registry.register(lambda value: value, "orders.fetch")
    problem = only(document)
    assert (problem.code, problem.pointer) == (code, pointer)
    assert problem.severity == "warning"
    assert text in problem.message
    flow_builder.create_flow_from_spec(document)


@pytest.mark.parametrize(
    ("document", "fixed"),
    [
        (flow({"slug": "a"}, workflow_slug="a b!"), flow({"slug": "a"}, workflow_slug="a_b")),
        (flow({"slug": "run"}), flow({"slug": "_run"})),
        (
            flow({"slug": "1 a"}, {"slug": "b", "depends_on": ["1 a"]}),
            flow({"slug": "_1_a"}, {"slug": "b", "depends_on": ["_1_a"]}),
        ),
        (flow({"slug": "a"}, {"slug": "a"}), flow({"slug": "a"}, {"slug": "a_2"})),
        (flow({"slug": "a"}, max_attempt=3), flow({"slug": "a"}, max_attempts=3)),
        (flow({"slug": "a"}, max_attempt=3, max_attempts=4), flow({"slug": "a"}, max_attempts=4)),
        (flow({"slug": "a", "colour": "red"}), flow({"slug": "a"})),
        (flow({"slug": "a", "name": "x"}), flow({"slug": "a"})),
        (flow({"slug": "a"}, timeout="60"), flow({"slug": "a"}, timeout=60)),
        (flow({"slug": "a"}, timeout=60.0), flow({"slug": "a"}, timeout=60)),
        (flow({"slug": "a"}, timeout=10**9), flow({"slug": "a"}, timeout=604_800)),
        (flow({"slug": "a"}, timeout=None), flow({"slug": "a"})),
        (flow({"slug": "a", "type": "Map"}), flow({"slug": "a", "type": "map"})),
        (
            flow({"slug": "a"}, {"slug": "b", "depends_on": "a"}),
            flow({"slug": "a"}, {"slug": "b", "depends_on": ["a"]}),
        ),
        (flow({"slug": "a", "depends_on": None}), flow({"slug": "a"})),
        (steps("a", "b<a,a"), steps("a", "b<a")),
        (steps("a", "b<a,b"), steps("a", "b<a")),
        (flow({"slug": "a", "initial_tasks": 3}), flow({"slug": "a"})),
    ],
)  # fmt: skip
def test_fixes_make_what_was_meant(document: Any, fixed: Any) -> None:
    [problem] = validate_flow(document)
    assert problem.fix is not None
    assert apply_patch(document, problem.fix) == fixed


@pytest.mark.parametrize(
    "document",
    [
        steps("ab", "ac", "d<aa"),
        steps("a<b", "b<a"),
        flow({"slug": "a b"}, {"slug": "a_b"}),
        flow({"slug": "a"}, queue="GPU"),
        flow({"slug": "a", "params": {1}}),
        flow({"slug": "a"}, timeout=True),
    ],
)
def test_there_is_no_fix_where_there_are_several_ways_out(document: Any) -> None:
    [problem] = validate_flow(document)
    assert problem.fix is None


def test_all_problems_are_found_at_once() -> None:
    document = {
        "workflow_slug": "bad slug",
        "timeout": -5,
        "colour": "red",
        "steps": [
            {"slug": "a", "depends_on": ["b", "a", "nobody"], "timeout": "soon"},
            {"slug": "b", "depends_on": ["a"]},
            {"slug": "c", "depends_on": ["d"]},
            {"slug": "d", "depends_on": ["c", "c"], "type": "map"},
            "e",
            {"slug": "item"},
        ],
    }
    assert [(problem.code, problem.pointer) for problem in validate_flow(document)] == [
        ("invalid_workflow_slug", "/workflow_slug"),
        ("unknown_key", "/colour"),
        ("invalid_timeout", "/timeout"),
        ("invalid_timeout", "/steps/0/timeout"),
        ("invalid_document", "/steps/4"),
        ("shadowed_step_slug", "/steps/5/slug"),
        ("self_dependency", "/steps/0/depends_on/1"),
        ("missing_dependencies", "/steps/0/depends_on/2"),
        ("duplicate_dependency", "/steps/3/depends_on/1"),
        ("cycle_detected", "/steps/0/depends_on/0"),
        ("cycle_detected", "/steps/2/depends_on/0"),
    ]


def test_a_document_full_of_nonsense_is_looked_at_in_no_time() -> None:
    names = [f"some_quite_long_name_{n}" for n in range(2_000)]
    unknown = [{"slug": name, "depends_on": [f"x{name}"] * 10} for name in names]
    problems = validate_flow(flow(*unknown))
    assert len(problems) == 20_000
    assert problems[0].suggestions
    assert not problems[-1].suggestions


# Storing them


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("document", "error", "code"),
    [
        (None, exceptions.InvalidDocument, "invalid_document"),
        (flow({"slug": "a"}, colour="red"), exceptions.InvalidDocument, "unknown_key"),
        (flow(workflow_slug="a b"), exceptions.InvalidSlug, "invalid_workflow_slug"),
        (flow({"slug": "a b"}), exceptions.InvalidSlug, "invalid_step_slug"),
        (flow(timeout=0), exceptions.InvalidWorkflow, "invalid_timeout"),
        (flow({"slug": "a", "timeout": 0}), exceptions.InvalidStepOption, "invalid_timeout"),
        (flow({"slug": "a"}, {"slug": "a"}), exceptions.StepExists, "duplicate_step_slug"),
        (steps("a<x"), exceptions.MissingDependencies, "missing_dependencies"),
        (steps("a", "b<a,a"), exceptions.DuplicateDependency, "duplicate_dependency"),
        (steps("a<a"), exceptions.SelfDependency, "self_dependency"),
        (steps("a<b", "b<a"), exceptions.CycleDetected, "cycle_detected"),
        (
            flow({"slug": "a"}, {"slug": "b"},
                 {"slug": "c", "type": "map", "depends_on": ["a", "b"]}),
            exceptions.MapStepConstraint, "map_step_constraint_violation",
        ),
        (steps(*(f"s{n}" for n in range(2_001))), exceptions.InvalidStep, "too_many_steps"),
    ],
)  # fmt: skip
def test_a_bad_document_raises_the_error_of_its_first_problem_and_stores_nothing(
    document: Any, error: type[PgflowError], code: str
) -> None:
    with pytest.raises(error) as caught:
        flow_builder.create_flow_from_spec(document)
    assert caught.value.code == code
    problems = caught.value.problems
    assert [problem.code for problem in problems] == [code]
    assert str(caught.value) == problems[0].message
    assert not Workflow.objects.exists()


@pytest.mark.django_db
def test_an_error_tells_ten_problems_and_counts_the_rest() -> None:
    with pytest.raises(PgflowError, match=r"And 2 more\.$") as caught:
        flow_builder.create_flow_from_spec(flow(*({"slug": f"a {n}"} for n in range(12))))
    assert str(caught.value).count("The step name") == 10
    problems = caught.value.problems
    assert len(problems) == 12


@pytest.mark.django_db
def test_steps_may_stand_in_any_order_and_keep_it() -> None:
    document = steps("c<b", "b<a", "a")
    workflow = flow_builder.create_flow_from_spec(document)
    assert workflow.version == 1
    rows = WorkflowStep.objects.values_list("step_slug", "step_index", "deps_count")
    assert list(rows) == [("c", 0, 1), ("b", 1, 1), ("a", 2, 0)]
    assert flow_builder.export_flow("flow") == document


@pytest.mark.django_db
def test_create_flow_and_add_step_make_the_same_rows_as_a_document() -> None:
    flow_builder.create_flow("by_calls", max_attempts=5, timeout=60)
    flow_builder.add_step("by_calls", "fetch", function="orders.fetch", params={"a": 1})
    flow_builder.add_step("by_calls", "each", ["fetch"], step_type="map", initial_tasks=100)
    flow_builder.add_step("by_calls", "save", ["each", "fetch"])
    document = flow_builder.export_flow("by_calls")
    assert document == {
        "workflow_slug": "by_calls",
        "max_attempts": 5,
        "timeout": 60,
        "steps": [
            {"slug": "fetch", "uses": "orders.fetch", "params": {"a": 1}},
            {"slug": "each", "depends_on": ["fetch"], "type": "map", "initial_tasks": 100},
            {"slug": "save", "depends_on": ["fetch", "each"]},
        ],
    }
    flow_builder.create_flow_from_spec({**document, "workflow_slug": "by_document"})
    one, other = flow_builder.get_flow("by_calls"), flow_builder.get_flow("by_document")
    for key in ("workflow_slug", "created_at", "version"):
        one.pop(key)
        other.pop(key)
    for step in one["steps"] + other["steps"]:
        step.pop("workflow_slug")
    assert one == other


@pytest.mark.django_db
def test_a_flow_that_is_there_is_refused_without_replace() -> None:
    flow_builder.create_flow_from_spec(GUIDE)
    with pytest.raises(exceptions.WorkflowExists) as caught:
        flow_builder.create_flow_from_spec(GUIDE)
    assert caught.value.code == "workflow_already_exists"


@pytest.mark.django_db
def test_replace_makes_one_new_version_and_touches_only_what_differs() -> None:
    old = steps("a", "b<a", "c<a,b", "gone<c", timeout=5)
    new = steps("new", "a<new", "c<a", "b<c", max_attempts=9)
    flow_builder.create_flow_from_spec(old, origin="editor")
    workflow = flow_builder.create_flow_from_spec(new, replace=True)
    assert workflow.version == 2
    assert workflow.origin == "editor"
    assert flow_builder.export_flow("flow") == new
    assert flow_builder.create_flow_from_spec(new, replace=True).version == 2


@pytest.mark.django_db
def test_replace_tells_true_from_1() -> None:
    for params in (1, True, 1.0):
        document = flow({"slug": "a", "params": {"x": params}})
        flow_builder.create_flow_from_spec(document, replace=True)
        stored = flow_builder.export_flow("flow")["steps"][0]["params"]["x"]
        assert stored == params
        assert type(stored) is type(params)
    assert Workflow.objects.get().version == 3


@pytest.mark.django_db
def test_replace_fits_into_gaps_that_others_left() -> None:
    flow_builder.create_flow_from_spec(steps("a", "b", "c"))
    WorkflowStep.objects.filter(step_slug="b").delete()
    new = steps("a", "c", "d<c")
    flow_builder.create_flow_from_spec(new, replace=True)
    assert flow_builder.export_flow("flow") == new
    rows = WorkflowStep.objects.values_list("step_slug", "step_index")
    assert list(rows) == [("a", 0), ("c", 1), ("d", 2)]


@pytest.mark.django_db
def test_replace_stores_what_is_new() -> None:
    assert flow_builder.create_flow_from_spec(GUIDE, replace=True).version == 1


@pytest.mark.django_db
def test_code_and_stored_flows_don_t_replace_one_another() -> None:
    flow_builder.create_flow_from_spec(GUIDE)
    with pytest.raises(exceptions.WorkflowConflict) as caught:
        flow_builder.create_flow_from_spec(GUIDE, origin="code", replace=True)
    assert caught.value.code == "workflow_origin_conflict"
    assert str(caught.value) == (
        'Flow "ai_data_pipeline" is stored already, and was not defined in code (its origin is '
        '"api"). Give the class another slug, or delete the stored flow.'
    )
    Workflow.objects.update(origin="code")
    with pytest.raises(exceptions.WorkflowConflict, match="is defined in code; change it there"):
        flow_builder.create_flow_from_spec(GUIDE, origin="agent", replace=True)


@pytest.mark.django_db
def test_an_unknown_origin_is_refused() -> None:
    with pytest.raises(exceptions.InvalidWorkflow) as caught:
        flow_builder.create_flow_from_spec(GUIDE, origin="space")
    assert caught.value.code == "invalid_origin"
    assert 'origin is "space", but must be "api" or "code" or' in str(caught.value)
