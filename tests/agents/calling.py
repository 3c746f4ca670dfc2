"""A program that calls the HTTP API, as curl would: a token, an address, and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from pgflow_django.agents.openapi import divide
from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.agents.tokens import create_token
from pgflow_django.choices import Access
from tests.views.conftest import USERS, make_user

ROOT = "/agents/api/v1"


def make_client() -> Client:
    """A client to which nothing of sessions or CSRF helps."""
    return Client(enforce_csrf_checks=True)


@dataclass
class Program:
    """A program with a token of a user of the tests."""

    secret: str
    client: Client = field(default_factory=make_client)

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The response to any request; ``body`` is sent as JSON, bytes as they are."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        options = {"content_type": "application/json", **more}
        headers = {"Authorization": f"Bearer {self.secret}", **options.pop("headers", {})}
        return self.client.generic(method, f"{ROOT}{path}", data, headers=headers, **options)

    def call(self, name: str, **arguments: Any) -> Any:
        """The response to a call of an operation, with its arguments where they belong."""
        operation = OPERATIONS[name]
        parts = divide(operation)
        path = {key: arguments.pop(key, "") for key in parts.in_path if key in arguments}
        if "slug" in parts.in_path and "slug" not in path:
            path["slug"] = arguments["document"]["workflow_slug"]
        address = operation.path.format(**path)
        if operation.method == "GET":
            query = {key: _tell(value) for key, value in arguments.items()}
            return self.send("GET", address, query_params=query)
        return self.send(operation.method, address, arguments or None)

    def get(self, name: str, **arguments: Any) -> Any:
        """What a call gives, which must be done."""
        response = self.call(name, **arguments)
        assert response.status_code == 200, response.content
        return response.json()

    def refused(self, name: str, **arguments: Any) -> tuple[int, str]:
        """The status and the code of a call, which must not be done."""
        return read_error(self.call(name, **arguments))


def _tell(value: Any) -> Any:
    return value if isinstance(value, str | list) else json.dumps(value)


def read_error(response: Any) -> tuple[int, str]:
    """The status and the code of an error, which has the one shape."""
    assert response["Content-Type"] == "application/json", response.content
    error = response.json()["error"]
    assert error["message"]
    return response.status_code, error["code"]


def sign_in(user: str = "editor", access: Access = Access.PUBLISH, **more: Any) -> Program:
    """A program for one of the ``USERS``, who is made where there is none."""
    codenames = USERS[user]
    assert codenames is not None
    owner = User.objects.filter(username=user).first() or make_user(user, codenames)
    return Program(create_token(owner, "bot", access, **more)[1])
