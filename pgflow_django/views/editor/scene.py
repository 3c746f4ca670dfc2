"""What the editor shows of a draft: the drawing, the list, the panel and the problems."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.definitions.graph import topological_order
from pgflow_django.definitions.shape import function_of
from pgflow_django.drawing.canvas import find_layout, render_canvas
from pgflow_django.drawing.graph import Node
from pgflow_django.drawing.states import Labels
from pgflow_django.drawing.svg import DrawOptions
from pgflow_django.registry import RegisteredFunction, registry
from pgflow_django.views.editor.functions import Function, describe_function
from pgflow_django.views.pieces import name_statuses

if TYPE_CHECKING:
    from pgflow_django.drafts import Draft
    from pgflow_django.views.editor.trials import Trial

Row = dict[str, Any]
Direction = Literal["auto", "LR", "TB"]

DIRECTIONS: tuple[Direction, ...] = ("auto", "LR", "TB")
_VIEW_COOKIE = re.compile(r"(auto|LR|TB)\.([1-9]\d{1,3})x([1-9]\d{1,3})")
_USUAL_VIEW = (890, 690)


@dataclass(frozen=True, slots=True)
class Look:
    """How this browser wants to see flows: the direction, and the room for the drawing."""

    direction: Direction = "auto"
    viewport: tuple[int, int] = _USUAL_VIEW


def read_look(request: HttpRequest) -> Look:
    """The look that the page's script keeps in a cookie; a strange cookie counts as none."""
    match = _VIEW_COOKIE.fullmatch(request.COOKIES.get("pgf_view", ""))
    if not match:
        return Look()
    return Look(match[1], (int(match[2]), int(match[3])))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Fix:
    """A way to fix a problem with one click, as a form posts it."""

    op: str
    arguments: str
    label: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A problem as the page shows it."""

    level: str
    step: str
    message: str
    fixes: list[Fix]


def show_fix(fix: Mapping[str, Any]) -> Fix:
    """Return a fix of the drafts' as a form posts it: its arguments as JSON."""
    return Fix(fix["op"], json.dumps(fix["arguments"]), fix["label"])


@dataclass
class Scene:
    """A draft with all that its pages show of it; computed when asked for."""

    draft: Draft
    is_editable: bool
    look: Look = field(default_factory=Look)
    workflow: Any = None
    """What the permissions are asked about: the flow, or what stands for one not published."""
    trial: Trial | None = None
    _functions: dict[str, Function] = field(default_factory=dict, repr=False)

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The steps of the document by slug, those without a proper one left out."""
        steps = self.draft.document.get("steps") or ()
        return {row["slug"]: row for row in steps if isinstance(row.get("slug"), str)}

    @cached_property
    def depends_on(self) -> dict[str, tuple[str, ...]]:
        """What each step waits for, without unknown steps and without what closes a cycle."""
        known = {
            slug: tuple(
                dict.fromkeys(
                    other
                    for other in row.get("depends_on") or ()
                    if other in self.rows and other != slug
                )
            )
            for slug, row in self.rows.items()
        }
        placed = set(topological_order(known))
        return {
            slug: tuple(other for other in others if other in placed)
            if slug not in placed
            else others
            for slug, others in known.items()
        }

    @cached_property
    def dependents(self) -> dict[str, list[str]]:
        """What waits for each step."""
        found: dict[str, list[str]] = {slug: [] for slug in self.rows}
        for slug, others in self.depends_on.items():
            for other in others:
                found[other].append(slug)
        return found

    @cached_property
    def order(self) -> list[str]:
        """The steps, dependencies first."""
        return topological_order(self.depends_on)

    @cached_property
    def problems(self) -> Sequence[Shown]:
        """Every problem of the document, but that it has no steps: the page says how to begin."""
        return [
            Shown(found.level, found.step or "", found.message, [*map(show_fix, found.fixes)])
            for found in drafts.problems(self.draft.document)
            if found.code != "workflow_has_no_steps"
        ]

    @cached_property
    def errors(self) -> list[Shown]:
        """The problems that stand in the way of publishing."""
        return [found for found in self.problems if found.level == "error"]

    def problems_of(self, slug: str) -> list[Shown]:
        """The problems of one step."""
        return [found for found in self.problems if found.step == slug]

    @cached_property
    def uses(self) -> set[str]:
        """The names of the functions that the flow uses."""
        return {function_of(row) for row in self.rows.values()}

    @cached_property
    def messages(self) -> dict[str, str]:
        """The first problem of each step that has any, errors before warnings."""
        in_order = sorted(self.problems, key=lambda shown: shown.level != "error")
        return {shown.step: shown.message for shown in reversed(in_order) if shown.step}

    def to_json(self, slugs: Collection[str]) -> str:
        """Some steps as people copy and paste them, ``""`` for none."""
        wanted = set(slugs)
        rows = [row for slug, row in self.rows.items() if slug in wanted]
        return json.dumps({"steps": rows}, ensure_ascii=False, indent=2) if rows else ""

    @property
    def texts(self) -> dict[str, str]:
        """What each step can be found by, dependencies first."""
        rows = ((slug, self.rows[slug]) for slug in self.order)
        return {
            slug: f"{slug} {function_of(row)} {row.get('description', '')}" for slug, row in rows
        }

    @property
    def listed(self) -> Iterator[dict[str, Any]]:
        """The steps for the list, dependencies first."""
        wrong = {shown.step for shown in self.errors}
        for slug in self.order:
            row = self.rows[slug]
            yield {
                "slug": slug,
                "uses": function_of(row),
                "is_map": row.get("type") == "map",
                "depends_on": self.depends_on[slug],
                "description": row.get("description", ""),
                "problem": self.messages.get(slug, ""),
                "is_wrong": slug in wrong,
                "tried": self.trial.shown.get(slug) if self.trial else None,
            }

    def function_of(self, slug: str) -> Function:
        """What is known of the function that a step calls."""
        name = function_of(self.rows[slug])
        if name not in self._functions:
            self._functions[name] = describe_function(name)
        return self._functions[name]

    @property
    def function_names(self) -> list[str]:
        """Every registered function."""
        return registry.names()

    @property
    def has_own_functions(self) -> bool:
        """Whether the site has registered functions."""
        return bool(registry.own_names())

    def render(self) -> SafeString:
        """Return the drawing: an ``<svg>``, every text in it escaped."""
        functions = {function.name: function for function in registry.all()}
        nodes = tuple(
            Node(
                slug,
                self.depends_on[slug],
                kind="map" if row.get("type") == "map" else "single",
                subtitle=_find_subtitle(slug, row, functions),
                description=row.get("description") or "",
            )
            for slug, row in self.rows.items()
        )
        layout = find_layout(nodes, direction=self.look.direction, viewport=self.look.viewport)
        drawing = render_canvas(
            layout,
            _("Steps of %(flow)s. Arrow keys move between steps, Enter opens one.")
            % {"flow": self.draft.slug},
            states=self.trial.states if self.trial else None,
            problems=self.messages,
            doubtful=self.messages.keys() - {shown.step for shown in self.errors},
            editable=self.is_editable,
            options=DrawOptions(find_state_labels() if self.trial else find_labels()),
            attributes={"aria-roledescription": _("flow diagram")},
        )
        return mark_safe(drawing)  # noqa: S308 - svg.py has escaped every text


def find_labels() -> Labels:
    """Return the words of drawings in the reader's language."""
    return Labels(
        step=_("step"),
        map_step=_("map step"),
        problem=_("problem: {problem}"),
        after=_("after {steps}"),
        empty=_("No steps yet"),
    )


def find_state_labels() -> Labels:
    """Return the words of a run's drawing in the reader's language."""
    words = find_labels()
    return Labels(
        statuses=name_statuses(),
        step=words.step,
        map_step=words.map_step,
        counts=_("{done} of {total}"),
        failures=_("{failed} failed"),
        problem=words.problem,
        after=words.after,
        empty=words.empty,
    )


def _find_subtitle(slug: str, row: Row, functions: Mapping[str, RegisteredFunction]) -> str:
    """Return what the card says below the name: the function, or where it lives."""
    name = function_of(row)
    function = functions.get(name)
    if function is None:
        return _("not registered: %(name)s") % {"name": name}
    return function.module if name == slug else name


@dataclass(frozen=True, slots=True)
class PaletteItem:
    """A function that steps may use, as the palette shows it."""

    function: Function
    is_used: bool = False


@dataclass(frozen=True, slots=True)
class PaletteSection:
    """The functions of one module."""

    title: str
    items: list[PaletteItem]


def list_palette(scene: Scene) -> list[PaletteSection]:
    """Return the registered functions by module, both in order."""
    sections: dict[str, list[PaletteItem]] = {}
    for registered in registry.all():
        item = PaletteItem(describe_function(registered.name), registered.name in scene.uses)
        sections.setdefault(registered.module.removesuffix(".steps"), []).append(item)
    return [PaletteSection(title, sections[title]) for title in sorted(sections)]


def list_missing(scene: Scene) -> list[str]:
    """Return the functions that the flow uses and that nobody has registered."""
    return sorted(name for name in scene.uses if name not in registry)
