"""What comes of asking a model for a flow: a proposal, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pgflow_django import drafts
from pgflow_django.definitions.answers import is_valid
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import PgflowError, WorkflowNotFound
from pgflow_django.jsonvalue import same

if TYPE_CHECKING:
    from pgflow_django.definitions.edits import Change
    from pgflow_django.definitions.problems import Problem
    from pgflow_django.drafts import Draft


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer of a model: the document that was read of it, repaired, and what is wrong with it.

    ``document`` is ``None`` where none could be read.
    """

    document: Any
    problems: Sequence[Problem]
    why: str = ""
    unmet: Sequence[str] = ()

    @property
    def is_valid(self) -> bool:
        """Whether its document is a flow that may be proposed."""
        return self.document is not None and is_valid(self.problems)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the answers took, as the provider says."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class GenerationFailed(PgflowError):
    """No flow was generated; ``attempts`` are the answers that there were, the last one last.

    ``retry_after`` are the seconds until there is room, where a quota is used up.
    """

    default_code = "generation_failed"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        attempts: Sequence[Attempt] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.attempts = list(attempts)
        self.retry_after = retry_after
        self.problems = list(attempts[-1].problems) if attempts else []


@dataclass(frozen=True, slots=True)
class Proposal:
    """A flow that a model proposes; nothing of it is stored before ``save``.

    ``problems`` are warnings only. ``unmet`` is what was asked for and no function can do.
    ``changes`` are those to the current document, or to a flow that is not there.
    """

    document: dict[str, Any]
    problems: Sequence[Problem]
    why: str
    unmet: Sequence[str]
    changes: Sequence[Change]
    attempts: Sequence[Attempt]
    usage: Usage
    model: str
    prompt_sha256: str
    #: The document that it is meant to change, as the model has seen it; ``None`` for a new flow.
    current: dict[str, Any] | None = field(default=None, repr=False)
    using: str | None = field(default=None, repr=False)

    def save(self, user: Any) -> Draft:
        """Make it a draft of ``user``, for people to look at and publish.

        Where it was asked for with ``current``, it becomes one edit of the flow of that name, which
        can be undone. Raises as ``drafts.create`` and ``drafts.edit``: ``WorkflowExists`` where
        the name of a new flow is taken, ``DraftConflict`` where the draft is not what the model has
        seen any more.
        """
        slug = self.document["workflow_slug"]
        provenance = make_provenance(user, self.model, self.prompt_sha256)
        options: dict[str, Any] = {"user": user, "provenance": provenance, "using": self.using}
        if self.current is None:
            return drafts.create(slug, self.document, **options)
        try:
            draft = drafts.load(slug, using=self.using)
        except WorkflowNotFound:
            return drafts.create(slug, self.document, **options)
        # No draft has the version -1: the conflict says what was done meanwhile.
        version = draft.version if same(draft.document, self.current) else -1
        arguments = {"document": self.document}
        return drafts.edit(slug, version, "replace", arguments, **options).draft


def make_provenance(user: Any, model: str, prompt_sha256: str) -> dict[str, str]:
    """Where a proposal comes from, as the history of the flow tells it."""
    return {
        "by": name_user(user),
        "via": "generate",
        "token": "",
        "client": "",
        "model": model,
        "prompt_sha256": prompt_sha256,
    }
