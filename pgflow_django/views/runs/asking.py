"""What pages ask of a draft beside its input: the outputs that are given, where to end, consent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from django.utils.http import urlencode
from django.utils.translation import gettext as _

from pgflow_django.definitions.shape import function_of
from pgflow_django.registry import registry
from pgflow_django.runs.guessing import UNKNOWN, Guesser
from pgflow_django.views.editor.forms import read_version
from pgflow_django.views.editor.functions import name_effects
from pgflow_django.views.editor.last_output import TASKS, find_last_outputs
from pgflow_django.views.fields import MAX_BYTES, read_json
from pgflow_django.views.payloads import drop_hidden

if TYPE_CHECKING:
    from pgflow_django.views.editor.scene import Scene
    from pgflow_django.views.page import Page
    from pgflow_django.views.runs.input_form import Form

#: Before the name of a step in the name of the field of its output.
_GIVEN = "given-"
#: Flows of more steps give outputs as one JSON object.
MAX_FIELDS = 60
_ALL = "outputs"


@dataclass(slots=True)
class GivenField:
    """A step as the page asks about it: the text of its output, where that comes from, effects."""

    slug: str
    function: str
    effects: str = ""
    text: str = ""
    origin: str = ""
    error: str = ""

    @property
    def name(self) -> str:
        """The name of its control."""
        return _GIVEN + self.slug

    @property
    def is_open(self) -> bool:
        """Whether there is something to see."""
        return bool(self.text or self.error or self.origin)


@dataclass(slots=True)
class Asked:
    """What the page asks beside the input, and what was answered."""

    steps: list[GivenField]
    until: str = ""
    allows: bool = False
    #: In place of a field for each step, or of those that a page of more steps has sent.
    all_text: str = ""
    all_error: str = ""
    #: Fields that were sent, and that this draft would not have asked: it was another one.
    others: list[GivenField] = dataclass_field(default_factory=list)

    @property
    def is_long(self) -> bool:
        """Whether there are too many steps for a field each."""
        return len(self.steps) > MAX_FIELDS

    @property
    def fields(self) -> list[GivenField]:
        """The steps with a field each."""
        return self.others if self.is_long else [*self.steps, *self.others]

    @property
    def wish(self) -> str:
        """What the page's address asks for beside the input."""
        return f"&{urlencode({'step': self.until})}" if self.until else ""

    @property
    def effects(self) -> list[GivenField]:
        """The steps that change something, or may."""
        return [step for step in self.steps if step.effects]


def ask(scene: Scene) -> Asked:
    """What is asked of a draft, as yet without an answer."""
    steps = []
    for slug in scene.order:
        name = function_of(scene.rows[slug])
        steps.append(GivenField(slug, name, _say_effects(name)))
    return Asked(steps)


def _say_effects(name: str) -> str:
    """What a function changes, in words, or that it does not say; ``""`` for nothing."""
    if registry.is_harmless(name):
        return ""
    return name_effects().get(registry.effects_of(name)) or _("does not say what it changes")


def prefill(page: Page, scene: Scene, asked: Asked) -> None:
    """For one step: give what it waits for, from the newest run, an example, or made up."""
    step = page.request.GET.get("step", "")
    if step not in scene.rows:
        return
    asked.until = step
    wanted = scene.depends_on[step]
    outputs = find_last_outputs(page, scene, wanted)
    given: dict[str, Any] = {}
    for field in asked.steps:
        if field.slug not in wanted:
            continue
        known = outputs.get(field.slug)
        if known is not None and known.text:
            field.origin = _("From the newest run.")
            if scene.rows[field.slug].get("type") == "map":
                field.origin = _("From the newest run: its first %(count)s tasks at most.") % {
                    "count": TASKS
                }
            given[field.slug] = drop_hidden(known.value)
        else:
            field.origin, output = _make_output(scene, field.slug)
            if output is UNKNOWN:
                continue
            given[field.slug] = output
        if not asked.is_long:
            field.text = _write(given[field.slug])
    if asked.is_long:
        asked.all_text = _write(given)


def _make_output(scene: Scene, slug: str) -> tuple[str, Any]:
    """Where an output that a step might give comes from, and the output, or ``UNKNOWN``."""
    row = scene.rows[slug]
    task = {"params": row["params"]} if "params" in row else {}
    (output,), source = Guesser(registry.get).guess(function_of(row), [task])
    words = {
        "computed": _("Computed from its params."),
        "example": _("From an example of its function."),
        "schema": _("Made up from what its function declares."),
        "unknown": _("Nothing is known of it: write what it would return."),
    }
    is_list = row.get("type") == "map" and output is not UNKNOWN
    return words[source], [output] if is_list else output


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def read_asked(page: Page, scene: Scene) -> tuple[Asked, dict[str, Any] | None]:
    """What was answered, and the outputs that are given; ``None`` where some are no JSON.

    Also those of steps that were there when the page was drawn, and of a page with another kind of
    fields: what was given is refused or taken, and never left out.
    """
    post = page.request.POST
    asked = ask(scene)
    asked.until = post.get("until", "")
    asked.allows = post.get("allow_effects") == "true"
    sent = {name.removeprefix(_GIVEN): post[name] for name in post if name.startswith(_GIVEN)}
    for field in () if asked.is_long else asked.steps:
        field.text = sent.pop(field.slug, "")
    asked.others = [GivenField(slug, "", text=text) for slug, text in sent.items() if text.strip()]
    asked.all_text = post.get(_ALL, "")
    outputs, is_good = _read_all(asked)
    for field in asked.fields:
        if not field.text.strip():
            continue
        try:
            outputs[field.slug] = read_json(field.text)
        except ValueError as error:
            field.error, is_good = str(error), False
    return asked, outputs if is_good else None


def _read_all(asked: Asked) -> tuple[dict[str, Any], bool]:
    """The outputs in the field of all steps, and whether it could be read."""
    if not asked.all_text.strip():
        return {}, True
    try:
        outputs = read_json(asked.all_text)
    except ValueError as error:
        asked.all_error = str(error)
    else:
        if isinstance(outputs, dict):
            return outputs, True
        asked.all_error = _("This must be an object: the names of steps, each with its output.")
    return {}, False


def is_outdated(page: Page, scene: Scene) -> bool:
    """Whether the draft is another one than the page that was sent has shown."""
    return read_version(page.request.POST.get("version", "")) not in {None, scene.draft.version}


def say_outdated(scene: Scene) -> str:
    """What to do about that: who consents to functions must have seen them."""
    who = scene.draft.edited_by or _("somebody else")
    return _(
        "The draft was changed by %(who)s since this page was drawn, and nothing was started. "
        "It shows the draft as it is now, with what you wrote: look at it, and start again."
    ) % {"who": who}


def describe_draft(page: Page, scene: Scene, form: Form, asked: Asked) -> dict[str, Any]:
    """The variables of a page that asks about a draft."""
    errors = [shown.message for shown in scene.errors]
    return {
        "flow": page.flow,
        "original": page.flow,
        "draft": scene.draft,
        "form": form,
        "asked": asked,
        "problems": errors[:5],
        "may_start": bool(scene.rows) and not errors,
        "max_size": MAX_BYTES // 1024,
    }
