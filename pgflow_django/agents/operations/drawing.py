"""Drafts: written, patched, handed in and, where a token may do that, published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from pgflow_django import drafts
from pgflow_django.agents import quotas
from pgflow_django.agents.operations.flows import tell_changes
from pgflow_django.agents.operations.shapes import (
    PatchFlow,
    Published,
    PublishFlow,
    Saved,
    SaveFlow,
)
from pgflow_django.agents.operations.words import (
    link,
    refuse_hidden,
    refuse_hidden_in,
    tell_problems,
)
from pgflow_django.agents.policy import policy
from pgflow_django.agents.policy import quotas as read_quotas
from pgflow_django.definitions.edits import OPERATIONS as EDITS
from pgflow_django.definitions.edits import compare
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.problems import raise_problems
from pgflow_django.exceptions import InvalidInput, WorkflowNotFound
from pgflow_django.flow_builder import validate_flow

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal
    from pgflow_django.definitions.shape import Document
    from pgflow_django.drafts import Draft


def save_flow(principal: Principal, asked: SaveFlow, using: str) -> Saved:
    """Store a document as the draft of its flow, a new one or in place of what is drawn.

    Nothing runs before a person has published it.
    """
    _refuse_texts(asked.document, asked.note)
    slug = asked.document.get("workflow_slug")
    if not isinstance(slug, str):
        raise InvalidInput("The document has no workflow_slug.", code="invalid_workflow_slug")
    provenance = _tell_origin(principal, asked.note, asked.model, asked.prompt_sha256)
    options: dict[str, Any] = {"user": principal.user, "provenance": provenance, "using": using}
    if principal.find_flow(slug) is None:
        if asked.version:
            raise WorkflowNotFound(slug)
        principal.require_new(slug)
        with quotas.room_for_flow(principal.user, using=using):
            new = drafts.create(slug, asked.document, **options)
        return _saved(principal, None, new)
    principal.require_flow("change", slug)
    before = drafts.load(slug, using=using).document
    arguments = {"document": asked.document}
    edited = drafts.edit(slug, asked.version, "replace", arguments, **options)
    return _saved(principal, before, edited.draft)


def patch_flow(principal: Principal, asked: PatchFlow, using: str) -> Saved:
    """Change a draft by a JSON Patch or by edits, all of them or none.

    Prefer edits: rename_step carries edges and sources.
    """
    principal.require_flow("change", asked.slug)
    if bool(asked.patch) == bool(asked.edits):
        raise InvalidInput("Give either a patch or edits.", code="invalid_arguments")
    provenance = _tell_origin(principal, asked.note)
    options: dict[str, Any] = {"user": principal.user, "provenance": provenance, "using": using}
    edits = asked.edits or [{"op": "patch", "arguments": {"patch": asked.patch}}]
    before, version = drafts.load(asked.slug, using=using), asked.version
    with transaction.atomic(using=using):
        for index, edit in enumerate(edits):
            arguments = _read_edit(edit, index)
            draft = drafts.edit(asked.slug, version, edit["op"], arguments, **options).draft
            version = draft.version
        _refuse_texts(draft.document, asked.note)
    return _saved(principal, before.document, draft)


def _read_edit(edit: dict[str, Any], index: int) -> Any:
    if not isinstance(edit.get("op"), str) or edit.keys() - {"op", "arguments"}:
        raise InvalidInput(
            f"Edit {index} must be an object with op, a text, and arguments, and nothing else.",
            code="invalid_arguments",
        )
    if edit["op"] not in EDITS:  # undo and the like are for people, who see what they take back
        meant = did_you_mean(nearest_names(edit["op"], EDITS))
        raise InvalidInput(f'There is no edit "{edit["op"]}".{meant}', code="unknown_operation")
    return edit.get("arguments", {})


def publish_flow(principal: Principal, asked: PublishFlow, using: str) -> Published:
    """Hand a draft in for a person's approval.

    It is published at once only where this site lets your token do that.
    """
    flow = principal.require_flow("change", asked.slug)
    refuse_hidden(asked.note, "The note")
    draft = drafts.load(asked.slug, using=using)
    raise_problems(validate_flow(draft.document, policy=policy()))
    if read_quotas().approval == "none" and principal.can("publish", flow):
        done = drafts.publish(asked.slug, asked.version, user=principal.user, using=using)
        return _published(principal, asked.slug, done.workflow.version, "published")
    handed = drafts.hand_in(
        asked.slug, asked.version, user=principal.user, note=asked.note, using=using
    )
    return _published(principal, asked.slug, handed.published_version, "waiting_for_approval")


def _published(principal: Principal, slug: str, version: int | None, status: Any) -> Published:
    page = "workflow_edit" if status == "published" else "workflow_review"
    return Published(
        status=status,
        published_version=version,
        url=link(principal, page, slug),
    )


def _refuse_texts(document: Document, note: str) -> None:
    refuse_hidden(note, "The note")
    refuse_hidden_in(document)


def _tell_origin(
    principal: Principal, note: str, model: str = "", prompt_sha256: str = ""
) -> dict[str, str]:
    refuse_hidden(model, "The name of the model")
    told = principal.provenance(model, prompt_sha256)
    return {**told, "note": note} if note else told


def _saved(principal: Principal, before: Document | None, draft: Draft) -> Saved:
    return Saved(
        slug=draft.slug,
        version=draft.version,
        changes=tell_changes(compare(before, draft.document)).changes,
        problems=tell_problems(draft.document),
        url=link(principal, "workflow_edit", draft.slug),
    )
