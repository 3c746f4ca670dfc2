"""``manage.py showflow``: one flow with its steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.text import Text

from pgflow_django import flow_builder
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.flows import missing_functions
from pgflow_django.cli.functions import describe
from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.tree import Line, draw_tree
from pgflow_django.cli.words import clock, one_line, plural
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.definitions.shape import function_of
from pgflow_django.jsonvalue import same
from pgflow_django.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.core.management.base import CommandParser

    from pgflow_django.definitions.options import Option

_COLUMNS = (
    Column("STEP"),
    Column("TYPE"),
    Column("ALSO AFTER", is_flexible=True),
    Column("FUNCTION", is_flexible=True),
    Column("INPUTS", is_flexible=True),
    Column("OPTIONS", is_flexible=True),
    Column("DESCRIPTION", is_flexible=True),
)
#: What the table says elsewhere.
_ELSEWHERE = {"step_type", "function", "description", "inputs"}


class Command(PgflowCommand):
    """Shows a flow: options, steps as a tree, functions that nobody registered."""

    help = """\
Show a flow: its options, its steps as a tree, and which functions are not registered here.
A step stands below the last one that it waits for; "also after" names the others."""
    epilog = """\
examples:
  manage.py showflow airports_etl
  manage.py showflow airports_etl --json"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("slug", metavar="FLOW", help="the flow")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Show it."""
        flow = flow_builder.get_flow(options["slug"], using=self.using)
        missing = missing_functions(flow)
        if self.is_json:
            functions = {function_of(step) for step in flow["steps"]}
            contracts = {
                name: describe(found) for name in functions if (found := registry.get(name))
            }
            self.show_json({**flow, "missing_functions": missing, "functions": contracts})
            return
        self.show(*self._facts(flow), Text())
        if not flow["steps"]:
            self.say("It has no steps. Add them with flow_builder.add_step() in Python.")
            return
        steps = {step["step_slug"]: step for step in flow["steps"]}
        tree = draw_tree(
            {slug: step["depends_on"] for slug, step in steps.items()},
            is_unicode=self.out.is_unicode,
        )
        rows = [self._row(line, steps[line.slug], missing) for line in tree]
        self.show(build_table(self.out, _COLUMNS, rows))
        if missing:
            names = ", ".join(sorted(set(missing.values())))
            self.say(
                f"\n{plural(len(set(missing.values())), 'function')} not registered here: {names}. "
                "Register with @step_function in a steps.py of an installed app."
            )

    def _facts(self, flow: Mapping[str, Any]) -> Iterator[Text]:
        state = "" if flow["is_active"] else "switched off, "
        steps = plural(len(flow["steps"]), "step")
        head = f"  {state}{steps}, version {flow['version']:,}, {flow['origin']}"
        yield Text.assemble((flow["workflow_slug"], "bold"), (head, "dim"))
        if flow["description"]:
            yield Text(f"  {one_line(flow['description'])}")
        options = [
            f"{name} {_show(option, flow[name])}"
            for name, option in FLOW_OPTIONS.items()
            if name not in {"description", "input_schema"}
        ]
        yield Text(f"  {', '.join(options)}", "dim")
        if flow["input_schema"] is not None:
            yield Text(f"  input_schema {json.dumps(flow['input_schema'])}", "dim")
        yield Text(f"  created {clock(flow['created_at'])}", "dim")

    def _row(
        self, line: Line, step: Mapping[str, Any], missing: Mapping[str, str]
    ) -> list[Text | str]:
        name = function_of(step)
        function = Text("" if name == line.slug else name)
        if line.slug in missing:
            function = Text(f"{self.out.sign('failed')} {name}", "red")
        options = [
            f"{option.key} {_show(option, step[option.name])}"
            for option in STEP_OPTIONS.values()
            if option.name not in _ELSEWHERE and not same(step[option.name], option.default)
        ]
        return [
            Text.assemble((line.branch, "dim"), line.slug),
            Text(step["step_type"], "magenta" if step["step_type"] == "map" else "dim"),
            ", ".join(line.also_after),
            function,
            ", ".join(
                f"{name} = {source}" for name, source in sorted((step["inputs"] or {}).items())
            ),
            Text(", ".join(options), "dim"),
            one_line(step["description"]),
        ]


def _show(option: Option, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{text} {option.unit}" if option.unit else text
