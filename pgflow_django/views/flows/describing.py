"""Flows in words: a language model proposes one, which is drawn, and applied when that is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.agents.generate import (
    GenerationFailed,
    find_what_misses,
    generate_flow,
    make_provenance,
    name_model,
)
from pgflow_django.agents.policy import policy
from pgflow_django.definitions.edits import compare
from pgflow_django.exceptions import DraftConflict, PgflowError
from pgflow_django.flow_builder import validate_flow
from pgflow_django.registry import registry
from pgflow_django.views.flows.changes import draw_changes, list_changes
from pgflow_django.views.flows.imports import log_draft
from pgflow_django.views.page import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgflow_django.agents.generate import Attempt
    from pgflow_django.drafts import Draft

#: Seconds for which a proposal can be refined and applied.
_KEPT_FOR = 24 * 3600
_SALT = "pgflow_django.describe"
#: Changes, problems, wishes and earlier requests that the page tells.
_CHANGES, _PROBLEMS, _WISHES, _ASKED = 300, 20, 20, 20
#: Functions that are named for a wish which none fulfils.
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class _Offer:
    """A proposal between two requests: the page has it signed, nothing of it is stored."""

    user: str
    #: The flow that it is for; empty for a new one.
    slug: str
    document: dict[str, Any]
    #: That of the draft which it is meant to change; ``None`` for a new flow.
    version: int | None
    why: str
    unmet: list[str]
    model: str
    prompt_sha256: str
    asked: list[str] = field(default_factory=list)

    def sign(self) -> str:
        return signing.dumps(asdict(self), salt=_SALT, compress=True)


class _OfferLost(Exception):
    """What should be an offer was not signed here, or too long ago."""


def describe_new(page: Page) -> HttpResponse:
    """Take words for a new flow; see ``describe_flow``."""
    return _describe(page, None)


def describe_flow(page: Page) -> HttpResponse:
    """Take words, draw what a model makes of the draft after them; then refine or apply that."""
    return _describe(page, drafts.load(page.slug))


def _describe(page: Page, draft: Draft | None) -> HttpResponse:
    post = page.request.POST
    if page.request.method != "POST":
        return _render(page, draft)
    prompt = post.get("prompt", "").replace("\r\n", "\n")
    try:
        offer = _read_offer(page, draft.slug if draft else "")
    except _OfferLost:
        error = _("This proposal is too old, or not ours. Describe it once more.")
        return _render(page, draft, prompt=prompt, error=error, status=422)
    if "apply" in post and offer is not None:
        return _apply(page, draft, offer)
    return _ask(page, draft, offer, prompt)


def _read_offer(page: Page, slug: str) -> _Offer | None:
    text = page.request.POST.get("offer", "")
    if not text:
        return None
    try:
        offer = _Offer(**signing.loads(text, salt=_SALT, max_age=_KEPT_FOR))
    except signing.BadSignature:
        raise _OfferLost from None
    if offer.slug != slug:
        raise _OfferLost
    if offer.user != str(page.request.user.pk):
        raise PermissionDenied
    return offer


def _ask(page: Page, draft: Draft | None, offer: _Offer | None, prompt: str) -> HttpResponse:
    """Ask the model: for the flow, or for another one than that which it has proposed."""
    base = offer.document if offer else _find_steps(draft)
    try:
        proposal = generate_flow(
            prompt,
            current=base,
            slug=draft.slug if draft else None,
            user=page.request.user,
        )
    except GenerationFailed as failure:
        is_quota = failure.code == "quota_exceeded"
        status = HTTPStatus.TOO_MANY_REQUESTS if is_quota else HTTPStatus.UNPROCESSABLE_ENTITY
        told = {"error": str(failure), "answers": _list_answers(failure.attempts)}
        return _show(page, draft, offer, prompt=prompt, status=status, **told)
    except PgflowError as error:
        return _show(page, draft, offer, prompt=prompt, error=str(error), status=422)
    document = proposal.document
    if draft is not None and base is None:
        # What an empty draft says of itself, and no model was asked about.
        document = {**draft.document, **document}
    made = _Offer(
        user=str(page.request.user.pk),
        slug=draft.slug if draft else "",
        document=document,
        # What is refined was drawn on an older draft, perhaps: then applying it is a conflict.
        version=offer.version if offer else draft.version if draft else None,
        why=proposal.why,
        unmet=list(proposal.unmet)[:_WISHES],
        model=proposal.model,
        prompt_sha256=proposal.prompt_sha256,
        asked=[*(offer.asked if offer else ()), prompt][-_ASKED:],
    )
    return _show(page, draft, made)


def _find_steps(draft: Draft | None) -> dict[str, Any] | None:
    return draft.document if draft and draft.document.get("steps") else None


def _list_answers(attempts: Sequence[Attempt]) -> list[list[str]]:
    """What was wrong with each answer."""
    return [
        [problem.message for problem in attempt.problems if problem.severity == "error"][:_PROBLEMS]
        for attempt in attempts
    ]


def _apply(page: Page, draft: Draft | None, offer: _Offer) -> HttpResponse:
    """Make the proposal one edit of the draft, or a draft."""
    user = page.request.user
    provenance = make_provenance(user, offer.model, offer.prompt_sha256)
    try:
        if draft is None:
            slug = page.request.POST.get("name", "").strip()
            document = {**offer.document, "workflow_slug": slug}
            slug = drafts.create(slug, document, user=user, provenance=provenance).slug
        else:
            slug = draft.slug
            options: dict[str, Any] = {"user": user, "provenance": provenance}
            arguments = {"document": offer.document}
            version = -1 if offer.version is None else offer.version
            drafts.edit(slug, version, "replace", arguments, **options)
    except DraftConflict:
        draft = drafts.load(page.slug)
        error = _(
            "The draft was changed since the proposal. This is what it would change now; what was "
            "done meanwhile goes where the proposal has it otherwise."
        )
        offer = replace(offer, version=draft.version)
        return _show(page, draft, offer, error=error, status=409)
    except PgflowError as error:
        name = page.request.POST.get("name", "")
        return _show(page, draft, offer, name=name, name_error=str(error), status=422)
    log_draft(page, slug, _("Applied what a language model proposed."))
    return HttpResponseRedirect(page.link("workflow_edit", slug))


def _show(page: Page, draft: Draft | None, offer: _Offer | None, **more: Any) -> HttpResponse:
    """Show a proposal; where there is none yet, the form."""
    if offer is None:
        return _render(page, draft, **more)
    before = draft.document if draft else None
    changes = compare(before, offer.document)
    allowed = policy()
    context = {
        "name": offer.document["workflow_slug"],
        "offer": offer,
        "token": offer.sign(),
        "drawing": draw_changes(before, offer.document, offer.document["workflow_slug"]),
        "changes": list_changes(changes[:_CHANGES]),
        "more_changes": max(0, len(changes) - _CHANGES),
        "problems": validate_flow(offer.document, policy=allowed)[:_PROBLEMS],
        "unmet": [
            (wish, [name for name in registry.search(wish) if allowed.allows(name)][:_NEAREST])
            for wish in offer.unmet
        ],
    }
    return _render(page, draft, **{**context, **more})


def _render(page: Page, draft: Draft | None, *, status: int = 200, **more: Any) -> HttpResponse:
    title = _("Describe %(flow)s") % {"flow": draft.slug} if draft else _("Describe a flow")
    back = page.link("workflow_edit", draft.slug) if draft else page.link("workflow_changelist")
    context = page.context(
        title,
        slug=draft.slug if draft else "",
        has_steps=_find_steps(draft) is not None,
        missing=find_what_misses(),
        model=name_model(),
        back=back,
        **more,
    )
    return render(page.request, "pgflow_django/flows/describe.html", context, status=status)
