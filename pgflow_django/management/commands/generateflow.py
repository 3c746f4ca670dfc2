"""``manage.py generateflow``: ask a language model for a flow."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pgflow_django import drafts
from pgflow_django.agents import generate_flow
from pgflow_django.cli.base import BadUsage, PgflowCommand, tell_problems
from pgflow_django.cli.documents import list_problems
from pgflow_django.cli.inputs import read_stdin
from pgflow_django.cli.people import read_user
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.exceptions import WorkflowNotFound

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from pgflow_django.agents import Proposal
    from pgflow_django.drafts import Draft


class Command(PgflowCommand):
    """Prints the flow that a model proposes; stores it as a draft only if asked to."""

    help = """\
Ask a language model for a flow of registered functions, and print the document. Nothing is stored
without --save, and nothing is published or run. A flow that is there under --slug is changed."""
    epilog = """\
examples:
  manage.py generateflow "Load every airport of the list" > flow.json
  manage.py generateflow "Mail the result, too" --slug airports --save --user ann"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "prompt", metavar="PROMPT", help="what it should do, in words; - for standard input"
        )
        parser.add_argument("--slug", metavar="FLOW", help="the flow's name")
        parser.add_argument("--model", metavar="NAME", help="the model, in place of AI_MODEL")
        parser.add_argument("--save", action="store_true", help="make it a draft of --user")
        parser.add_argument("--user", metavar="NAME", help="who asks: it is counted for this user")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, print, store."""
        if options["save"] and not options["user"]:
            raise BadUsage("--save needs --user NAME: a draft is somebody's.")
        user = read_user(options["user"]) if options["user"] else None
        prompt = read_stdin(self.say) if options["prompt"] == "-" else options["prompt"]
        proposal = generate_flow(
            prompt,
            model=options["model"],
            slug=options["slug"],
            current=self._find_current(options["slug"]),
            user=user,
            using=self.using,
        )
        saved = proposal.save(user) if options["save"] else None
        if self.is_json:
            self.show_json(_describe(proposal, saved))
            return
        self.stdout.write(self.to_json(proposal.document))
        for text in (proposal.why, *(f"No function can do: {wish}" for wish in proposal.unmet)):
            self.say(text)
        for line in list_problems(proposal.problems):
            self.say(line)
        if saved:
            self.say(f'It is the draft of "{saved.slug}" now, version {saved.version:,}.')

    def _find_current(self, slug: str | None) -> Any:
        if slug is None or not is_valid_slug(slug):
            return None
        try:
            return drafts.load(slug, using=self.using).document
        except WorkflowNotFound:
            return None


def _describe(proposal: Proposal, saved: Draft | None) -> dict[str, Any]:
    return {
        "document": proposal.document,
        **tell_problems(proposal.problems),
        "why": proposal.why,
        "unmet": list(proposal.unmet),
        "changes": [change.to_dict() for change in proposal.changes],
        "attempts": len(proposal.attempts),
        "usage": asdict(proposal.usage),
        "model": proposal.model,
        "prompt_sha256": proposal.prompt_sha256,
        "draft": {"slug": saved.slug, "version": saved.version} if saved else None,
    }
