"""Whatever is sent to an address of the admin that is ours: the answer is no failure (5xx)."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

import pytest
from django.core.signals import got_request_exception
from django.db import transaction
from django.http.request import HttpHeaders
from django.test import Client
from django.test.client import FakePayload

from pgflow_django import drafts
from tests.views.conftest import LogIn, make_flow, run_flow
from tests.views.fuzzing import Addresses, Ask

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

#: A schema with a field of each kind, for the form that starts a run.
SCHEMA = {
    "required": ["count"],
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer", "minimum": 0},
        "ratio": {"type": "number", "maximum": 1},
        "flag": {"type": "boolean"},
        "day": {"type": "string", "format": "date"},
        "pick": {"enum": ["a", 1, None]},
        "many": {"type": "array", "items": {"type": "integer"}},
        "extra": {"type": "object"},
    },
}
#: Every so many-th request is tried each time; a prime, so that each place and value has its turn.
QUICK = 97
#: One of so many is tried by `make test-slow`, others each time.
SLOW = 11


@pytest.fixture
def addresses() -> Addresses:
    """Give the addresses of a flow with a draft, and of a run."""
    make_flow("asking", input_schema=SCHEMA)
    draft = drafts.load(make_flow())
    edited = drafts.edit("numbers", draft.version, "set_flow", {"timeout": 9}, user="ada")
    return Addresses(run_flow("numbers", {"is_broken": True}), edited.draft.version)


class Asker:
    """Asks as a superuser; what a request has changed is undone, and the next finds all as it was.

    Django's client would copy the variables of every template, which takes most of the time.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.session = client.cookies["sessionid"].value
        self.errors: list[BaseException | None] = []

    def ask(self, ask: Ask) -> str:
        """What is wrong with the answer: the failure's name; nothing in most cases."""
        data, headers = ask.data, HttpHeaders.to_wsgi_names(ask.headers)
        if not isinstance(data, bytes):
            pairs = [(key, text) for key, texts in data.items() for text in _each(texts)]
            data = urlencode(pairs, errors="surrogatepass").encode()
        session = "ended" if ask.is_anonymous else self.session
        path, _, query = ask.path.partition("?")
        environ = {
            "REQUEST_METHOD": ask.method,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(data)),
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "HTTP_COOKIE": f"sessionid={session}; {ask.cookies}",
            "wsgi.input": FakePayload(data),
            **headers,
        }
        self.errors.clear()
        got_request_exception.connect(self._note)
        with transaction.atomic():
            answer = self.client.handler(self.client._base_environ(**environ))  # type: ignore[attr-defined]
            transaction.set_rollback(True)
        if answer.status_code < 500:
            return ""
        return f"{answer.status_code} {[*map(repr, self.errors)]}"

    def _note(self, **_: Any) -> None:
        self.errors.append(sys.exception())


def _each(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def failures(client: Client, asks: Iterable[Ask]) -> dict[str, str]:
    """The requests that failed, one of each kind."""
    asker = Asker(client)
    found: dict[str, str] = {}
    for ask in asks:
        if failure := asker.ask(ask):
            found.setdefault(failure[:80], f"{ask}: {failure}"[:600])
    return found


@pytest.mark.parametrize("part", Addresses.PARTS)
def test_nothing_that_is_sent_is_a_failure(log_in: LogIn, addresses: Addresses, part: str) -> None:
    assert failures(log_in("boss"), islice(addresses.ask(part), 0, None, QUICK)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("part", Addresses.PARTS)
def test_nothing_that_is_sent_at_random_is_a_failure(
    log_in: LogIn, addresses: Addresses, part: str
) -> None:
    seed = secrets.randbits(32)
    random = Random(seed)
    asks = (ask for ask in addresses.ask(part) if random.random() < 1 / SLOW)
    assert failures(log_in("boss"), asks) == {}, f"drawn with the seed {seed}"
