"""``manage.py agenttoken``: what programs sign in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone
from rich.text import Text

from pgflow_django.agents.tokens import (
    create_token,
    find_user,
    list_tokens,
    revoke_token,
    state_of,
)
from pgflow_django.choices import Access
from pgflow_django.cli.base import BadUsage, PgflowCommand
from pgflow_django.cli.options import read_age, read_count
from pgflow_django.cli.people import read_user
from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.words import ago, clock
from pgflow_django.definitions.graph import did_you_mean, nearest_names

if TYPE_CHECKING:
    from datetime import datetime

    from django.core.management.base import CommandParser

    from pgflow_django.models import AgentToken

_COLUMNS: Final = (
    Column("ID", is_number=True),
    Column("NAME", is_flexible=True),
    Column("USER", is_flexible=True),
    Column("ACCESS"),
    Column("FLOWS"),
    Column("CREATED", from_width=100),
    Column("USED"),
    Column("STATE"),
)


class Command(PgflowCommand):
    """Makes, lists and revokes tokens."""

    help = """\
Make, list and revoke the tokens with which programs sign in. A token acts for a user, and does no
more than that user may in the admin, nor more than its own access: read, author (writes drafts),
run (starts runs), operate (retries and cancels them), publish; each has those before it."""
    epilog = """\
examples:
  manage.py agenttoken create ann --name etl-bot --access author
  manage.py agenttoken create ann --name nightly --access run --flows etl_ --expires-in 90d
  manage.py agenttoken list ann
  manage.py agenttoken revoke 7"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the arguments."""
        parser.add_argument("action", metavar="create|list|revoke", help="what to do")
        parser.add_argument(
            "who",
            metavar="USER|ID",
            nargs="?",
            help="of create and list: the name of a user; of revoke: the number of a token",
        )
        parser.add_argument("--name", metavar="NAME", help="what people call the program")
        parser.add_argument(
            "--access",
            metavar="ACCESS",
            help=f"{', '.join(Access.values)} (default: read)",
        )
        parser.add_argument(
            "--flows", metavar="PREFIX", default="", help="only flows whose slugs begin so"
        )
        parser.add_argument(
            "--expires-in", metavar="AGE", help="until when it is good: 90d, 12h (default: no end)"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        actions = {"create": self._create, "list": self._list, "revoke": self._revoke}
        action = options["action"]
        if action not in actions:
            hint = did_you_mean(nearest_names(action, actions, limit=1))
            raise BadUsage(f'agenttoken knows {", ".join(actions)}, but not "{action}".{hint}')
        actions[action](options)

    def _create(self, options: dict[str, Any]) -> None:
        if not options["who"] or not options["name"]:
            raise BadUsage(
                "A token needs a user and a name: "
                f"{self.command('agenttoken', 'create', 'USER', '--name', 'NAME')}"
            )
        age, access = options["expires_in"], options["access"]
        user = read_user(options["who"])
        token, secret = create_token(
            user,
            options["name"],
            Access.READ if access is None else access,
            flows_prefix=options["flows"],
            expires_in=None if age is None else read_age(age, "--expires-in"),
            using=self.using,
        )
        if self.is_json:
            self.show_json({**_describe(token, user), "token": secret})
            return
        self.show(secret)
        self.say(
            f"This is told once: only its hash is stored. It is token {token.pk}, "
            f"for {options['who']}, with the access {token.access}."
        )

    def _list(self, options: dict[str, Any]) -> None:
        user = None if options["who"] is None else read_user(options["who"])
        tokens = list(list_tokens(user, using=self.using))
        users = {token.user_key: find_user(token) for token in tokens}
        facts = [_describe(token, users[token.user_key]) for token in tokens]
        if self.is_json:
            self.show_json(facts)
        elif facts:
            now = timezone.now()
            self.show(build_table(self.out, _COLUMNS, [_row(each, now) for each in facts]))
        else:
            made = self.command("agenttoken", "create", "USER", "--name", "NAME")
            self.say(f"No tokens. Make one: {made}")

    def _revoke(self, options: dict[str, Any]) -> None:
        number = read_count(options["who"], "The number of the token")
        token = revoke_token(number, using=self.using)
        if token is None:
            listed = self.command("agenttoken", "list")
            raise BadUsage(f"There is no token {number}. All of them: {listed}")
        if self.is_json:
            self.show_json(_describe(token, find_user(token)))
        self.say(f'Token {token.pk}, "{token.name}", is revoked.')


def _describe(token: AgentToken, user: Any) -> dict[str, Any]:
    return {
        "id": token.pk,
        "name": token.name,
        "user": token.user_key if user is None else user.get_username(),
        "access": token.access,
        "flows_prefix": token.flows_prefix,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
        "state": state_of(token, user),
    }


def _row(facts: dict[str, Any], now: datetime) -> list[Text | str]:
    until, used = facts["expires_at"], facts["last_used_at"]
    is_good = facts["state"] == "good"
    state = f"good until {clock(until)}" if is_good and until else facts["state"]
    return [
        str(facts["id"]),
        facts["name"],
        facts["user"],
        facts["access"],
        f"{facts['flows_prefix']}*",
        ago(facts["created_at"], now),
        "never" if used is None else ago(used, now),
        Text(state, "" if is_good else "dim"),
    ]
