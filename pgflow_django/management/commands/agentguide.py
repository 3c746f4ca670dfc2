"""``manage.py agentguide``: what an agent is told of this site's flows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgflow_django.agents.guiding import FILES, write_guide
from pgflow_django.cli.base import BadUsage, PgflowCommand
from pgflow_django.cli.words import plain

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Writes the guide for agents, with the step functions that this site has."""

    help = "Write what agents read before they draw flows: how it goes, the tools, the functions."
    epilog = """\
examples:
  manage.py agentguide > AGENTS.md
  manage.py agentguide --format skill --output .claude/skills/flows
  manage.py agentguide --format llms --plain"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "--format",
            choices=tuple(FILES),
            help=f"one of {', '.join(FILES.values())} (default: AGENTS.md; with --output: all)",
        )
        parser.add_argument("--output", metavar="DIR", help="write files into this folder")
        parser.add_argument(
            "--plain", action="store_true", help="without the functions of this site"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it."""
        kinds = [options["format"]] if options["format"] else list(FILES)
        if options["output"] is None:
            kinds = kinds if options["format"] else ["agents"]
        texts = {
            FILES[kind]: write_guide(kind, has_catalogue=not options["plain"]) for kind in kinds
        }
        if options["output"] is not None:
            self._write(Path(options["output"]), texts)
        elif self.is_json:
            self.show_json(texts)
        else:
            self.stdout.write(plain("".join(texts.values())), ending="")

    def _write(self, folder: Path, texts: dict[str, str]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadUsage(f"--output can't be written: {error}.") from None
        if self.is_json:
            self.show_json({"files": [str(folder / name) for name in texts]})
        for name in texts:
            self.say(f"Written: {folder / name}")
