"""The guide's three tables, with its names, columns and keys, and the versions made of them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from pgflow_django.choices import Origin, StepType


class SlugField(models.TextField):  # type: ignore[type-arg]
    """A slug column: bytewise collation, so that case matters and comparing is cheap."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("db_collation", "C")
        super().__init__(*args, **kwargs)


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

    def __str__(self) -> str:
        return self.workflow_slug


class WorkflowStep(models.Model):
    """A step: a node of a flow. A null option means the flow's own value."""

    pk = models.CompositePrimaryKey("workflow_slug", "step_slug")
    workflow_slug = SlugField()
    step_slug = SlugField()
    workflow = models.ForeignObject(
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

    class Meta:
        db_table = "workflow_steps"
        ordering: ClassVar = ["workflow_slug", "step_index"]

    def __str__(self) -> str:
        return f"{self.workflow_slug}.{self.step_slug}"


class WorkflowStepDependency(models.Model):
    """An edge: ``step_slug`` waits for ``dep_slug``."""

    pk = models.CompositePrimaryKey("workflow_slug", "dep_slug", "step_slug")
    workflow_slug = SlugField()
    dep_slug = SlugField()
    step_slug = SlugField()
    step = models.ForeignObject(
        WorkflowStep,
        on_delete=models.DO_NOTHING,
        from_fields=["workflow_slug", "step_slug"],
        to_fields=["workflow_slug", "step_slug"],
        related_name="dependencies",
    )
    dependency = models.ForeignObject(
        WorkflowStep,
        on_delete=models.DO_NOTHING,
        from_fields=["workflow_slug", "dep_slug"],
        to_fields=["workflow_slug", "step_slug"],
        related_name="dependents",
    )

    class Meta:
        db_table = "workflow_step_dependencies_def"

    def __str__(self) -> str:
        return f"{self.workflow_slug}: {self.dep_slug} → {self.step_slug}"


class WorkflowVersion(models.Model):
    """A definition as runs use it: written at the first start after a change, never changed."""

    id = models.BigAutoField(primary_key=True)
    workflow_slug = SlugField()
    version = models.IntegerField()
    queues = ArrayField(models.TextField(), help_text="every queue that a run of it may use")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_versions"
        indexes: ClassVar = [
            models.Index(fields=["workflow_slug", "version"], name="workflow_versions_by_slug"),
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

    class Meta:
        db_table = "workflow_version_steps"
        ordering: ClassVar = ["version_id", "step_index"]

    def __str__(self) -> str:
        return f"{self.version_id}.{self.step_slug}"
