"""The tab of what a run was given and gave, as trees; and what steps gave, as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import F, Func, JSONField, TextField, Value
from django.http import Http404, StreamingHttpResponse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from pgflow_django.choices import RunState, StepStatus, TaskStatus
from pgflow_django.definitions.inputs import follow
from pgflow_django.definitions.schemas import escape_token, unescape_token
from pgflow_django.models import WorkflowRun, WorkflowStepState, WorkflowStepTask
from pgflow_django.models import WorkflowVersionStep as Plan
from pgflow_django.views.payloads import judges_by_keys, name_size
from pgflow_django.views.pieces import short_id
from pgflow_django.views.runs.query import BadQuery, read_number
from pgflow_django.views.stored import load
from pgflow_django.views.trees import Path, Tree

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpResponse

    from pgflow_django.runs.view import RunView
    from pgflow_django.views.page import Page

Facts = dict[str, Any]
#: Keys that a path leads through at most, and characters of one.
_LEVELS, _KEY = 100, 4_000
#: Bytes of outputs that are read at once, about, and rows.
_CHUNK, _ROWS = 2 * 1024 * 1024, 1_000


def show_data(page: Page, view: RunView) -> Facts:
    """The variables of the tab. Raises ``BadQuery``."""
    query, run = page.request.GET, page.run
    which = query.get("which") or "input"
    has_output = view.status == RunState.COMPLETED
    if which not in {"input", "output"} or (which == "output" and not has_output):
        raise BadQuery(_("There is no such value of this run."))
    at = _read_path(query.get("at", ""))
    start = read_number(query.get("from") or "0", 10**9)
    link = page.link("workflowrun_change", run.pk)

    def address(path: Path, first: int = 0) -> str:
        wanted = {"tab": "data", "which": which, "at": _write_path(path), "from": first or ""}
        return f"{link}?{urlencode({name: text for name, text in wanted.items() if text})}"

    return {
        "which": which,
        "values": ["input", "output"] if has_output else ["input"],
        "value_words": {"input": _("Input"), "output": _("Output")},
        "crumbs": [(key, address(at[: number + 1])) for number, key in enumerate(at)],
        "top_link": address(()),
        "download": page.link("workflowrun_payload", run.pk, which),
        "outputs": [
            (step.slug, page.link("workflowrun_output", run.pk, step.slug))
            for step in view.steps
            if step.status == "completed"
        ],
        "is_still": view.has_ended,
        **_show_value(page, which, at, start, Tree(address)),
    }


def _show_value(page: Page, column: str, at: Path, start: int, tree: Tree) -> Facts:
    """The part of a value at a path, cut by the database and redacted."""
    run, admin = page.run, page.admin
    redact: Any = admin.redact_payload  # type: ignore[attr-defined]
    by_keys = judges_by_keys(redact)
    part = Value(list(at if by_keys else ()), output_field=ArrayField(TextField()))
    value = Func(F(column), part, arg_joiner=" #> ", template="%(expressions)s",
                 output_field=JSONField())  # fmt: skip
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    rows = WorkflowRun.objects.using(using).filter(pk=run.pk)
    stored = load(rows, "pk", value).get(run.pk)
    if stored is None:
        raise BadQuery(_("There is nothing at this place of the value."))
    if not (stored.is_whole or by_keys):  # who judges by the whole is not handed a part
        return {"size": name_size(stored.size)}
    found = stored.read()
    if by_keys:  # keys that lead to it may name a secret
        for key in reversed(at):
            found = {key: found}
    try:
        shown = follow(redact(page.request, run, found), at)
    except LookupError:
        raise BadQuery(_("This part of the value is hidden, or not there.")) from None
    rest = {} if stored.is_whole else {"cut_size": name_size(stored.size)}
    return {"tree": tree.render(shown, at, start), **rest}


def _read_path(text: str) -> Path:
    keys = tuple(unescape_token(token) for token in text.split("/")[1:])
    if len(text) > _KEY or len(keys) > _LEVELS or "\0" in text or (text and text[0] != "/"):
        raise BadQuery(_("This address has something else where a part of the value should be."))
    return keys


def _write_path(path: Path) -> str:
    return "".join(f"/{escape_token(key)}" for key in path)


def output(page: Page, step: str) -> HttpResponse:
    """Give what a completed step of the run gave as a file: of a map the list of its tasks'."""
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - as above
    states = WorkflowStepState.objects.using(using)
    done = states.filter(run_id=run.pk, step_slug=step, status=StepStatus.COMPLETED).exists()
    plans = Plan.objects.using(using).filter(version_id=run.version_id, step_slug=step)
    kind = plans.values_list("step_type", flat=True).first()
    if not done or kind is None:
        raise Http404(_("This step has given nothing."))
    texts = _dump_outputs(page, step, run.pk, using)
    content = _join(texts) if kind == "map" else texts
    # It is Django's own kind of an answer that has no content yet.
    response: Any = StreamingHttpResponse(content, content_type="application/json")
    name = f"{run.workflow_slug}-{short_id(run.pk)}-{step}.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response  # type: ignore[no-any-return]


def _join(texts: Iterator[str]) -> Iterator[str]:
    """The texts as a JSON array, one a line."""
    before = "[\n"
    for text in texts:
        yield before + text
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _dump_outputs(page: Page, step: str, run_id: UUID, using: str) -> Iterator[str]:
    """The outputs of the tasks of a step one after another, in their order; in constant memory."""
    admin: Any = page.admin
    tasks = WorkflowStepTask.objects.using(using).filter(
        run_id=run_id, step_slug=step, status=TaskStatus.COMPLETED
    )
    last, count = -1, 10
    while True:
        rows = tasks.filter(task_index__gt=last).order_by("task_index")
        read = 0
        found = list(rows.values_list("task_index", "output")[:count])
        for last, value in found:  # noqa: B007 - the last one is where the next look begins
            hidden = admin.redact_payload(page.request, page.run, value)
            text = json.dumps(hidden, ensure_ascii=False)
            read += len(text)
            yield text
        if len(found) < count:
            return
        count = max(1, min(_ROWS, _CHUNK * count // (read or 1)))
