"""The guide's three tables, with its names, columns and keys, and the versions made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import LessThanOrEqual

from pgflow_django.choices import Origin, StepType
from pgflow_django.definitions.graph import MAX_SLUG_LENGTH, RESERVED_SLUGS, SLUG_PATTERN
from pgflow_django.definitions.options import FLOW_OPTIONS, MAX_STEPS, STEP_OPTIONS
from pgflow_django.models import definition_triggers as triggers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pgflow_django.definitions.options import Option


class SlugField(models.TextField):  # type: ignore[type-arg]
    """A slug column: bytewise collation, so that case matters and comparing is cheap."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("db_collation", "C")
        super().__init__(*args, **kwargs)


class Relation(models.ForeignObject):  # type: ignore[type-arg]
    """A way to other rows over columns that stand beside it: it has nothing to be serialised."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs, serialize=False)

    def deconstruct(self) -> Any:
        """Nothing of it is the migrations' matter."""
        name, _, args, kwargs = super().deconstruct()
        del kwargs["serialize"]
        return name, "django.db.models.ForeignObject", args, kwargs


def is_slug(column: str) -> Q:
    """The slug rule, as a condition on a column."""
    matches = Q(**{f"{column}__regex": f"^{SLUG_PATTERN}$"})
    is_short = LessThanOrEqual(Length(column), MAX_SLUG_LENGTH)
    return matches & Q(is_short) & ~Q(**{f"{column}__in": sorted(RESERVED_SLUGS)})


def _check(name: str, condition: Any) -> models.CheckConstraint:
    return models.CheckConstraint(condition=condition, name=name)


def _option_checks(owner: str, options: Mapping[str, Option]) -> Iterator[models.CheckConstraint]:
    """The rules of a table of options, each as a constraint of its column."""
    for column, option in options.items():
        condition = option.rule.check(column)
        if condition is not None:
            yield _check(option.name_check(owner), condition)


class Workflow(models.Model):
    """A flow: the head of a stored DAG."""

    workflow_slug = SlugField(primary_key=True)
    max_attempts = models.IntegerField(default=3, db_default=3)
    timeout = models.IntegerField(default=30, db_default=30, help_text="seconds per attempt")
    base_delay = models.IntegerField(
        default=1, db_default=1, help_text="seconds before the first retry; doubles with each"
    )
    queue = models.TextField(default="default", db_default="default")
    description = models.TextField(default="", db_default="", blank=True)
    version = models.IntegerField(default=1, db_default=1, editable=False)
    input_schema = models.JSONField(null=True, blank=True)
    is_active = models.BooleanField(default=True, db_default=True)
    origin = models.TextField(choices=Origin.choices, default=Origin.API, db_default=Origin.API)
    fingerprint = models.TextField(
        default="", db_default="", editable=False, help_text="of the code that wrote a code flow"
    )
    created_by = models.TextField(default="", db_default="", blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "workflows"
        ordering: ClassVar = ["-created_at", "workflow_slug"]
        permissions: ClassVar = [
            ("publish_workflow", "Can publish workflow"),
            ("run_workflow", "Can run workflow"),
            ("use_ai", "Can describe workflows in words"),
        ]
        constraints: ClassVar = [
            _check("workflow_slug_follows_the_slug_rule", is_slug("workflow_slug")),
            *_option_checks("workflow", FLOW_OPTIONS),
            _check("workflow_version_is_positive", Q(version__gte=1)),
            _check("workflow_origin_is_known", Q(origin__in=Origin.values)),
        ]
        triggers: ClassVar = [
            triggers.NUMBER_NEW_FLOW,
            triggers.NUMBER_CHANGED_FLOW,
            triggers.KEEP_ACTIVE_FLOW,
            triggers.KEEP_LAST_NUMBER,
            triggers.DELETE_DRAFT,
            triggers.CHECK_DEFINITION,
            pgtrigger.ReadOnly(
                name="workflow_key_is_read_only", fields=["workflow_slug", "created_at"]
            ),
        ]

    def __str__(self) -> str:
        return str(self.workflow_slug)


class WorkflowStep(models.Model):
    """A step: a node of a flow. A null option means the flow's own value."""

    pk = models.CompositePrimaryKey("workflow_slug", "step_slug")
    workflow_slug = SlugField()
    step_slug = SlugField()
    workflow = Relation(
        Workflow,
        on_delete=models.DO_NOTHING,
        from_fields=["workflow_slug"],
        to_fields=["workflow_slug"],
        related_name="steps",
    )
    step_type = models.TextField(
        choices=StepType.choices, default=StepType.SINGLE, db_default=StepType.SINGLE
    )
    step_index = models.IntegerField(help_text="0-based position, unique within the flow")
    deps_count = models.IntegerField(default=0, db_default=0)
    initial_tasks = models.IntegerField(null=True, blank=True)
    max_attempts = models.IntegerField(null=True, blank=True)
    timeout = models.IntegerField(null=True, blank=True, help_text="seconds per attempt")
    base_delay = models.IntegerField(null=True, blank=True, help_text="seconds")
    start_delay = models.IntegerField(default=0, db_default=0, help_text="seconds")
    function = models.TextField(null=True, blank=True)  # noqa: DJ001 - null means the step's slug
    params = models.JSONField(null=True, blank=True)
    queue = models.TextField(null=True, blank=True)  # noqa: DJ001 - null means the flow's queue
    description = models.TextField(default="", db_default="", blank=True)
    inputs = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "workflow_steps"
        ordering: ClassVar = ["workflow_slug", "step_index"]
        constraints: ClassVar = [
            _check("step_slug_follows_the_slug_rule", is_slug("step_slug")),
            _check("step_index_is_in_range", Q(step_index__range=(0, MAX_STEPS - 1))),
            _check("step_deps_count_is_not_negative", Q(deps_count__gte=0)),
            _check(
                "map_step_has_at_most_one_dependency",
                ~Q(step_type=StepType.MAP) | Q(deps_count__lte=1),
            ),
            *_option_checks("step", STEP_OPTIONS),
            models.UniqueConstraint(
                fields=["workflow_slug", "step_index"],
                name="step_index_is_unique_within_a_workflow",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]
        triggers: ClassVar = [
            triggers.COUNT_ADDED_STEPS,
            triggers.COUNT_CHANGED_STEPS,
            triggers.COUNT_REMOVED_STEPS,
            triggers.KEEP_DEPS_COUNT,
            pgtrigger.ReadOnly(name="step_key_is_read_only", fields=["workflow_slug", "step_slug"]),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_slug}.{self.step_slug}"


class WorkflowStepDependency(models.Model):
    """An edge: ``step_slug`` waits for ``dep_slug``."""

    pk = models.CompositePrimaryKey("workflow_slug", "dep_slug", "step_slug")
    workflow_slug = SlugField()
    dep_slug = SlugField()
    step_slug = SlugField()
    step = Relation(
        WorkflowStep,
        on_delete=models.DO_NOTHING,
        from_fields=["workflow_slug", "step_slug"],
        to_fields=["workflow_slug", "step_slug"],
        related_name="dependencies",
    )
    dependency = Relation(
        WorkflowStep,
        on_delete=models.DO_NOTHING,
        from_fields=["workflow_slug", "dep_slug"],
        to_fields=["workflow_slug", "step_slug"],
        related_name="dependents",
    )

    class Meta:
        db_table = "workflow_step_dependencies_def"
        constraints: ClassVar = [
            _check("step_does_not_wait_for_itself", ~Q(dep_slug=F("step_slug"))),
        ]
        indexes: ClassVar = [
            models.Index(fields=["workflow_slug", "step_slug"], name="dependencies_by_step"),
        ]
        triggers: ClassVar = [
            triggers.FOLLOW_ADDED_EDGES,
            triggers.FOLLOW_REMOVED_EDGES,
            triggers.refuse_changes("dependency_is_read_only"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_slug}: {self.dep_slug} → {self.step_slug}"


class WorkflowVersion(models.Model):
    """A definition as runs use it: written at the first start after a change, never changed."""

    id = models.BigAutoField(primary_key=True)
    workflow_slug = SlugField()
    version = models.IntegerField()
    queues = ArrayField(models.TextField(), help_text="every queue that a run of it may use")
    steps_count = models.IntegerField()
    has_root_map = models.BooleanField(help_text="whether starting a run must look at its input")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_versions"
        indexes: ClassVar = [
            models.Index(fields=["workflow_slug", "version"], name="workflow_versions_by_slug"),
        ]
        triggers: ClassVar = [
            triggers.refuse_changes("version_is_read_only"),
            triggers.KEEP_USED_VERSION,
        ]

    def __str__(self) -> str:
        return f"{self.workflow_slug} v{self.version}"


class WorkflowVersionStep(models.Model):
    """A step as runs of one version use it: defaults resolved, edges beside it."""

    pk = models.CompositePrimaryKey("version_id", "step_slug")
    version_id = models.BigIntegerField()
    step_slug = SlugField()
    step_index = models.IntegerField()
    step_type = models.TextField(choices=StepType.choices)
    depends_on = ArrayField(SlugField(), help_text="in the order of step_index")
    dependents = ArrayField(SlugField())
    initial_tasks = models.IntegerField(null=True)
    max_attempts = models.IntegerField()
    timeout = models.IntegerField()
    base_delay = models.IntegerField()
    start_delay = models.IntegerField()
    function = models.TextField()
    params = models.JSONField(null=True)
    queue = models.TextField()
    description = models.TextField(default="", db_default="")
    inputs = models.JSONField(null=True)

    class Meta:
        db_table = "workflow_version_steps"
        ordering: ClassVar = ["version_id", "step_index"]
        triggers: ClassVar = [
            triggers.refuse_changes("version_step_is_read_only"),
            triggers.KEEP_VERSION_STEP,
        ]

    def __str__(self) -> str:
        return f"{self.version_id}.{self.step_slug}"
