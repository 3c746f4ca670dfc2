"""What the editor's side panel shows of a step or of the flow."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from pgflow_django.choices import StepType
from pgflow_django.definitions.graph import MAX_SLUG_LENGTH
from pgflow_django.definitions.options import FLOW_OPTIONS, GROUPS, STEP_OPTIONS, Option
from pgflow_django.definitions.rules import Control
from pgflow_django.jsonvalue import same
from pgflow_django.registry import registry
from pgflow_django.views.editor.forms import Typed, read_dependencies
from pgflow_django.views.editor.functions import Function, Needed
from pgflow_django.views.editor.merging import NEW_NAME, NEW_SOURCE
from pgflow_django.views.editor.params import make_param_fields
from pgflow_django.views.editor.renaming import tell_readers
from pgflow_django.views.editor.scene import Row, Scene
from pgflow_django.views.editor.sources import Sources, find_after
from pgflow_django.views.fields import Choice, Field, make_option_field

if TYPE_CHECKING:
    from pgflow_django.views.editor.last_output import LastOutput

#: Flows of more steps get a field to type into instead of a list of boxes to tick.
MAX_BOXES = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A step that another may wait for, or the reason why it may not."""

    slug: str
    is_chosen: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the panel: what stands side by side, and what needs the whole width."""

    fields: list[Field]

    @property
    def has_errors(self) -> bool:
        """Whether something in it was refused."""
        return any(each.error for each in self.fields)

    @property
    def short(self) -> list[Field]:
        """The fields that stand in pairs."""
        return [each for each in self.fields if each.is_short]

    @property
    def wide(self) -> list[Field]:
        """The others."""
        return [each for each in self.fields if not each.is_short]

    @property
    def facts(self) -> list[Field]:
        """What readers see in one line each, where there is something to see."""
        return [each for each in self.fields if each.shown and not each.is_long]

    @property
    def texts(self) -> list[Field]:
        """What readers see below, where there is something to see."""
        return [each for each in self.fields if each.shown and each.is_long]


def describe_panel(
    scene: Scene,
    selected: Sequence[str],
    typed: Typed | None = None,
    outputs: Mapping[str, LastOutput] | None = None,
) -> dict[str, Any]:
    """The variables of the panel's template for one step, for several, or for the flow.

    ``typed`` is what stands in its form, where that was refused; ``outputs`` are the last ones of
    steps, as far as they are to be seen.
    """
    shared = {"scene": scene, "selected": selected, "json": scene.to_json(selected)}
    if len(selected) == 1:
        return {**shared, **_describe_step(scene, selected[0], typed, outputs)}
    if selected:
        fields = _many_fields(scene, selected)
        _fill(fields, typed)
        return {**shared, "step": "", "many": selected, "fields": fields}
    return {**shared, **_describe_flow(scene, typed)}


def _describe_step(
    scene: Scene, slug: str, typed: Typed | None, outputs: Mapping[str, LastOutput] | None
) -> dict[str, Any]:
    row, function = scene.rows[slug], scene.function_of(slug)
    name = Field("slug", Control("name", max_length=MAX_SLUG_LENGTH), _("Name"), "slug", text=slug)
    name.help = tell_readers(scene, slug)
    options = list(_step_fields(scene, slug, row, function))
    params = make_param_fields(function.params, row.get("params"))
    _fill([name, *params, *(made for _option, made in options)], typed)
    sources = Sources(scene, slug, typed, outputs)
    chosen = read_dependencies(typed.post) if typed else None
    return {
        "step": slug,
        "is_map": row.get("type") == "map",
        "name": name,
        "options": _group(options),
        "function": function,
        "inputs": sources.rows(),
        "sources": row.get("inputs") or {},
        "new_input": _make_new_input(sources, typed),
        "params": params,
        "problems": scene.problems_of(slug),
        "chosen": scene.depends_on[slug] if chosen is None else chosen,
        "choices": _list_choices(scene, slug, row, chosen)
        if len(scene.rows) <= MAX_BOXES
        else None,
        "waits_error": typed.errors.get("depends_on", "") if typed else "",
        "dependents": scene.dependents[slug],
        "example": _show_example(scene, slug, row),
    }


def _describe_flow(scene: Scene, typed: Typed | None) -> dict[str, Any]:
    options = list(_flow_fields(scene.draft.document))
    _fill([made for _option, made in options], typed)
    return {
        "step": "",
        "options": _group(options),
        "problems": [found for found in scene.problems if not found.step],
        "edge_count": sum(map(len, scene.depends_on.values())),
        "map_count": sum(row.get("type") == "map" for row in scene.rows.values()),
    }


def _many_fields(scene: Scene, slugs: Sequence[str]) -> list[Field]:
    """The options that several steps get at once; empty where they differ."""
    made = []
    for name in ("max_attempts", "queue"):
        option = STEP_OPTIONS[name]
        values = [scene.rows[slug].get(option.key) for slug in slugs]
        if all(same(value, values[0]) for value in values):
            fallback = _read(scene.draft.document, FLOW_OPTIONS[name])
            made.append(make_option_field(option, values[0], fallback))
        else:
            made.append(replace(make_option_field(option, None), hint=_("various")))
    return made


def _fill(fields: list[Field], typed: Typed | None) -> None:
    if typed and typed.is_whole_form:
        for made in fields:
            typed.fill(made)


def _group(fields: Iterable[tuple[Option, Field]]) -> dict[str, Group]:
    """The parts of the panel by name, in their order."""
    groups = {name: Group([]) for name in GROUPS}
    for option, made in fields:
        groups[option.group].fields.append(made)
    return groups


def _flow_fields(document: Row) -> Iterator[tuple[Option, Field]]:
    for option in FLOW_OPTIONS.values():
        yield option, make_option_field(option, document.get(option.key), option.default)


def _step_fields(
    scene: Scene, slug: str, row: Row, function: Function
) -> Iterator[tuple[Option, Field]]:
    """The fields of a step's options; what it leaves out is as the flow has it."""
    document = scene.draft.document
    for name, option in STEP_OPTIONS.items():
        fallback = option.default
        if fallback is None and name in FLOW_OPTIONS:
            fallback = _read(document, FLOW_OPTIONS[name])
        made = make_option_field(option, row.get(option.key), fallback)
        if name == "function":
            _offer_functions(made, slug, function.summary)
        elif name == "step_type":
            made.choices = _name_types(scene, slug, _read(row, option))
        if name != "inputs" and (name != "initial_tasks" or row.get("type") == "map"):
            yield option, made


def _read(row: Row, option: Option) -> Any:
    value = row.get(option.key)
    return option.default if value is None else value


def _offer_functions(made: Field, slug: str, doc: str) -> None:
    """Let the function be chosen from those that this process knows, and from what is there."""
    missing = _("not registered")
    made.control, made.help, made.fallback = Control("choice"), doc, slug
    made.choices = [Choice("", slug if slug in registry else f"{slug} ({missing})")]
    if made.text and made.text not in registry:
        made.choices.append(Choice(made.text, f"{made.text} ({missing})"))
    made.choices += [Choice(name, name) for name in registry.names() if name != slug]
    made.choose(made.text)


def name_types() -> dict[str, str]:
    """How often steps of each type run, in words."""
    return {
        StepType.SINGLE.value: _("once"),
        StepType.MAP.value: _("once per item of a list (map)"),
    }


def _name_types(scene: Scene, slug: str, value: Any) -> list[Choice]:
    chosen = scene.depends_on[slug]
    note = _("the run's input, which must be a list then")
    if chosen:
        note = _("the list that %(step)s returns") % {"step": chosen[0]}
    notes = {StepType.MAP.value: note}
    return [
        Choice(type_, word, type_ == value, notes.get(type_, ""))
        for type_, word in name_types().items()
    ]


def _make_new_input(sources: Sources, typed: Typed | None) -> dict[str, Any]:
    """The controls that add a source for a name which the function does not declare."""
    name = Field(NEW_NAME, Control("name"), _("Key"), NEW_NAME)
    _fill([name], typed)
    chosen = str(typed.post.get(NEW_SOURCE, "")) if typed else ""
    return {
        "name": name,
        "groups": sources.offer(Needed("", ""), chosen),
        "error": typed.errors.get(NEW_SOURCE, "") if typed else "",
        "is_open": bool(typed and {NEW_NAME, NEW_SOURCE} & typed.errors.keys()),
    }


def _list_choices(
    scene: Scene, slug: str, row: Row, typed: Collection[str] | None
) -> list[Candidate]:
    """Every other step; what waits for this one, directly or not, would close a loop."""
    after = find_after(scene, slug)
    chosen = set(scene.depends_on[slug])
    is_full = row.get("type") == "map" and bool(chosen)
    choices = []
    for other in scene.order:
        if other == slug:
            continue
        reason = ""
        if other in after:
            reason = _("waits for %(step)s") % {"step": slug}
        elif is_full and other not in chosen:
            reason = _("a map step waits for one step only")
        ticked = chosen if typed is None else typed
        choices.append(Candidate(other, other in ticked, reason))
    return choices


def _show_example(scene: Scene, slug: str, row: Row) -> str:
    """The input as the step's function will get it, with dots for what nobody knows yet."""
    is_map, inputs = row.get("type") == "map", row.get("inputs") or {}
    values = dict.fromkeys(inputs, "…")
    if is_map:
        values |= {"item": "…", "index": "0"}
    else:
        for other in scene.depends_on[slug]:
            is_list = scene.rows[other].get("type") == "map"
            values.setdefault(other, "[…]" if is_list else "…")
    if row.get("params") is not None:
        values["params"] = json.dumps(row["params"], ensure_ascii=False)[:60]
    values["run"] = "…"
    lines = [f"  {json.dumps(name, ensure_ascii=False)}: {value}" for name, value in values.items()]
    return "\n".join(["{", ",\n".join(lines), "}"])
