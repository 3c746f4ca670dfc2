"""Publishing a draft, from the editor, from its review, or on the way to a run."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pgflow_django import drafts
from pgflow_django.agents.approval import require_approval
from pgflow_django.views.access import list_runs
from pgflow_django.views.flows.facts import count_active
from pgflow_django.views.page import Page


def publish_draft(page: Page, version: int) -> str:
    """Make the draft what new runs get, note it in the admin's log, and give the words for it.

    ``version`` is that of the draft which the user has seen. Raises as ``drafts.publish`` and
    ``require_approval`` do.
    """
    request, slug = page.request, page.slug
    require_approval(slug, request.user)
    workflow = drafts.publish(slug, version, user=request.user).workflow
    done = _("Published version %(version)s.") % {"version": workflow.version}
    older = list_runs(page.admin, request).exclude(version=workflow.version)
    if runs := count_active(older, [slug]).get(slug):
        done += " " + ngettext(
            "%(runs)s run goes on with the version that it started with.",
            "%(runs)s runs go on with the version that they started with.",
            runs,
        ) % {"runs": runs}
    page.admin.log_change(request, workflow, done)
    return done
