"""Drafts: flows as people edit them, their history, and who is at it."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import pgflow_django.models.definitions


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0002_workers"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="workflow",
            options={
                "ordering": ["-created_at", "workflow_slug"],
                "permissions": [
                    ("publish_workflow", "Can publish workflow"),
                    ("run_workflow", "Can run workflow"),
                    ("use_ai", "Can describe workflows in words"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="workflowrun",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("cancel_workflowrun", "Can cancel workflow run"),
                    ("retry_workflowrun", "Can retry workflow run"),
                    ("view_payload", "Can view inputs and outputs"),
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkflowDraft",
            fields=[
                (
                    "workflow_slug",
                    pgflow_django.models.definitions.SlugField(
                        db_collation="C", primary_key=True, serialize=False
                    ),
                ),
                ("document", models.JSONField(help_text="a flow document, see docs/flows.md")),
                (
                    "version",
                    models.IntegerField(
                        default=1, help_text="counts up at every edit, for the next one"
                    ),
                ),
                (
                    "head",
                    models.IntegerField(
                        default=0, help_text="seq of the revision that the document is"
                    ),
                ),
                (
                    "base_version",
                    models.IntegerField(
                        help_text="version of the flow that it began with; null: not published yet",
                        null=True,
                    ),
                ),
                (
                    "last_action",
                    models.TextField(
                        blank=True,
                        default="",
                        help_text="what made this version, for those who saw another",
                    ),
                ),
                (
                    "created_by",
                    models.TextField(blank=True, default="", help_text="its owner"),
                ),
                ("edited_by", models.TextField(blank=True, default="")),
                (
                    "edited_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "db_table": "workflow_drafts",
                "ordering": ["workflow_slug"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("workflow_slug__regex", "^[a-zA-Z_][a-zA-Z0-9_]*$"),
                            django.db.models.lookups.LessThanOrEqual(
                                django.db.models.functions.text.Length("workflow_slug"), 128
                            ),
                            models.Q(("workflow_slug__in", ["run"]), _negated=True),
                        ),
                        name="draft_slug_follows_the_slug_rule",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("head__gte", 0), ("version__gte", 1)),
                        name="draft_version_is_positive",
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Exact(
                            django.db.models.fields.json.KeyTextTransform(
                                "workflow_slug", models.F("document")
                            ),
                            models.F("workflow_slug"),
                        ),
                        name="draft_document_is_of_its_flow",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkflowPresence",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("workflow_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                (
                    "session_hash",
                    models.TextField(help_text="of the browser session, not the session itself"),
                ),
                ("user", models.TextField(blank=True, default="")),
                (
                    "seen_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "workflow_presences",
                "ordering": ["workflow_slug", "-seen_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workflow_slug", "session_hash"), name="presence_is_one_per_session"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkflowRevision",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("seq", models.IntegerField(help_text="0 is what the draft began with")),
                (
                    "parent",
                    models.IntegerField(
                        help_text="seq of what was edited; undo goes there", null=True
                    ),
                ),
                ("op", models.TextField()),
                ("label", models.TextField()),
                ("document", models.JSONField()),
                ("draft_version", models.IntegerField(help_text="of the draft after this edit")),
                ("user", models.TextField(blank=True, default="")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "published_version",
                    models.IntegerField(
                        help_text="version of the flow that was published from it", null=True
                    ),
                ),
                (
                    "draft",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="revisions",
                        to="pgflow_django.workflowdraft",
                    ),
                ),
            ],
            options={
                "db_table": "workflow_revisions",
                "ordering": ["draft", "-seq"],
                "constraints": [
                    models.UniqueConstraint(fields=("draft", "seq"), name="revision_seq_is_unique"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("parent__isnull", True),
                            ("parent__lt", models.F("seq")),
                            _connector="OR",
                        ),
                        name="revision_follows_an_earlier_one",
                    ),
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflow",
            trigger=pgtrigger.compiler.Trigger(
                name="deleted_flow_takes_its_draft_along",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n        delete from workflow_revisions where draft_id = old.workflow_slug;\n        delete from workflow_drafts where workflow_slug = old.workflow_slug;\n        return null;\n    ",
                    hash="caf6a9d1272f3d8102b07a69a7bdbbb8a2c6df6c",
                    operation="DELETE",
                    pgid="pgtrigger_deleted_flow_takes_its_draft_along_14476",
                    table="workflows",
                    when="AFTER",
                ),
            ),
        ),
    ]
