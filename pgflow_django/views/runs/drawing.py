"""How a run is shown on its page: its drawing, its numbers and the words for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from pgflow_django.drawing.canvas import find_layout, render_canvas, render_cards
from pgflow_django.drawing.graph import Node
from pgflow_django.drawing.states import StepState
from pgflow_django.drawing.svg import DrawOptions
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from pgflow_django.runs.digest import Digest, digest_run, digest_step
from pgflow_django.runs.shown_errors import TEXTS, show_error
from pgflow_django.runs.view import RunView, StepView, load
from pgflow_django.storage.moments import with_zone
from pgflow_django.storage.probe import Probe, probe
from pgflow_django.views.editor.scene import Look, find_state_labels
from pgflow_django.views.pieces import (
    class_of,
    format_duration,
    name_run_status,
    name_status,
)
from pgflow_django.views.stored import load_cut

if TYPE_CHECKING:
    from pgflow_django.drawing.layout import Layout

#: Seconds before which nobody waits.
_NOTICED = 0.1
_FIELDS = [field.name for field in fields(StepView)]
#: Failed attempts of a step that its panel shows: the newest ones.
SHOWN_ATTEMPTS = 50


@dataclass(frozen=True)
class RunFacts:
    """A run with everything that its page shows of it, except for its input and output.

    ``digest`` is that of a page which shows all of this; ``now`` when that was, in seconds since
    1970.
    """

    run: WorkflowRun
    view: RunView
    digest: Digest
    now: float

    @cached_property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The steps as templates show them, by their slugs."""
        return {step.slug: show_step(step) for step in self.view.steps}

    @property
    def texts(self) -> dict[str, str]:
        """What each step can be found by."""
        return {
            slug: f"{slug} {step['function']} {step['description']} {step['word']}"
            for slug, step in self.steps.items()
        }

    @cached_property
    def maps(self) -> set[str]:
        """The map steps: those whose tasks are told apart by number."""
        return {step.slug for step in self.view.steps if step.is_map}

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.view.has_ended

    @property
    def error(self) -> Mapping[str, Any]:
        """The error of a failed run."""
        return self.view.error

    @property
    def word(self) -> str:
        """The word for its status."""
        return name_run_status(self.view.status)

    @property
    def css(self) -> str:
        """The class that colours its status."""
        return class_of(self.view.status)

    @property
    def done(self) -> int:
        """How many steps need nothing more."""
        return self.view.steps_done

    @property
    def share(self) -> int:
        """The steps that are done in percent, parts of map steps included."""
        steps = self.view.steps
        if not steps:
            return 100 if self.has_ended else 0
        begun = [step for step in steps if step.status not in {"completed", "skipped"}]
        parts = sum(step.done / step.total for step in begun if step.total)
        return int(100 * (self.done + parts) / len(steps))

    @property
    def tasks(self) -> tuple[int, int]:
        """Finished and all tasks of the map steps."""
        maps = [step for step in self.view.steps if step.is_map and step.total]
        return sum(step.done for step in maps), sum(step.total or 0 for step in maps)

    @property
    def duration(self) -> str:
        """From its start to its end, or to now."""
        return format_duration(timedelta(seconds=self.view.seconds))

    def render(self, look: Look) -> SafeString:
        """Return the drawing with the states: an ``<svg>``, every text in it escaped."""
        drawing = render_canvas(
            self._lay_out(look),
            _("Steps of %(flow)s. Arrow keys move between steps, Enter opens one.")
            % {"flow": self.run.workflow_slug},
            states=self._states,
            options=DrawOptions(find_state_labels()),
            attributes={
                "aria-roledescription": _("flow diagram"),
                "data-state": str(self.digest),
            },
        )
        return mark_safe(drawing)  # noqa: S308 - svg.py has escaped every text

    def render_cards(self, look: Look, slugs: Iterable[str]) -> Iterator[str]:
        """Give the cards of these steps one after another, as ``render`` draws them."""
        options = DrawOptions(find_state_labels())
        yield from render_cards(self._lay_out(look), slugs, self._states, options=options)

    @cached_property
    def _states(self) -> dict[str, StepState]:
        return {step.slug: _time(step) for step in self.view.steps}

    def _lay_out(self, look: Look) -> Layout:
        nodes = tuple(
            Node(
                step.slug,
                step.depends_on,
                kind="map" if step.is_map else "single",
                subtitle=step.function,
                description=step.description,
            )
            for step in self.view.steps
        )
        return find_layout(nodes, direction=look.direction, viewport=look.viewport)


def load_run(run: WorkflowRun, found: Probe | None = None) -> RunFacts:
    """Read how a run, which was read just now, stands, and what it waits for.

    ``found`` is the look at it that was taken since, if any. Raises ``RunNotFound``.
    """
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    # Before all that is shown: what changes in between, the next look finds.
    found = found or probe(run.pk, using=using)
    state = digest_run(run, found)
    view = load(run.pk, using=using, explain=True)
    # The page is of one moment: it says no more of the run once that has ended.
    run.status, run.ended_at = view.status, view.ended_at
    digest = Digest(state, tuple(map(digest_step, view.steps)))
    return RunFacts(run, view, digest, found.now)


def load_attempts(run: WorkflowRun, step: str) -> list[WorkflowTaskAttempt]:
    """The newest failed attempts of a step."""
    attempts = WorkflowTaskAttempt.objects.using(run._state.db).failed()  # noqa: SLF001
    failed = attempts.filter(run_id=run.pk, step_slug=step)
    found = load_cut(failed.order_by("-id")[:SHOWN_ATTEMPTS], "error_message", "traceback")
    for attempt in found:
        shown = show_error({name: getattr(attempt, name) for name in ("step_slug", *TEXTS)})
        for name in TEXTS:
            setattr(attempt, name, shown[name])
    return found


def show_step(step: StepView) -> dict[str, Any]:
    """A step as templates show it: how it stands, and the words for that."""
    tasks = ""
    if step.is_map and step.total is not None:
        tasks = _("%(done)s of %(total)s") % {"done": step.done, "total": step.total}
    return {
        **{name: getattr(step, name) for name in _FIELDS},
        "word": name_status(step.status),
        "tasks": tasks,
        "note": _note(step),
        "duration": _duration(step),
        "waited": _waited(step),
    }


def draw_state(step: StepView) -> StepState:
    """A step as its card shows it."""
    return StepState(
        step.status,
        done=step.done,
        total=step.total,
        failed=step.failed,
        duration=_duration(step),
        note=_note(step),
    )


def _time(step: StepView) -> StepState:
    """A step as its card shows it, with what a page counts the seconds of."""
    runs = step.status == "running" and step.started_at
    return replace(
        draw_state(step),
        since=with_zone(step.started_at).timestamp() if runs and step.started_at else None,
        until=with_zone(step.retry_at).timestamp() if step.retry_at else None,
    )


def _note(step: StepView) -> str:
    """Which attempt a step is on, where it is not the first, and whether that has begun."""
    notes = [_("given")] if step.is_given else []
    if step.attempt > 1 and not step.is_map:
        most = step.max_attempts
        notes.append(_("attempt %(attempt)s of %(most)s") % {"attempt": step.attempt, "most": most})
    if step.is_queued:
        notes.append(_("queued"))
    return ", ".join(notes)


def _waited(step: StepView) -> str:
    """How long a step that has begun had waited before, where anybody would notice."""
    if step.started_at is None or (step.waited or 0) < _NOTICED:
        return ""
    return format_duration(timedelta(seconds=step.waited or 0))


def _duration(step: StepView) -> str:
    """How long a step took, once it has ended."""
    if step.seconds is None or step.ended_at is None or step.status == "skipped":
        return ""
    return format_duration(timedelta(seconds=step.seconds))
