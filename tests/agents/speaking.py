"""The SDK's own client of the Model Context Protocol, used as an agent uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Tool

T = TypeVar("T")

#: Versions of the protocol, and how the client is told to speak them.
VERSIONS = {"2026-07-28": "2026-07-28", "2025-11-25": "legacy"}
#: Seconds after which an answer is none.
PATIENCE = 30


@dataclass(frozen=True)
class Agent:
    """A program that talks to the server at an address, or to one that it starts itself."""

    place: str | StdioServerParameters
    secret: str = ""
    version: str = "2026-07-28"

    def speak(self, words: Callable[[Client], Awaitable[T]]) -> T:
        """What comes of talking over one connection."""
        return asyncio.run(self._speak(words))

    async def _speak(self, words: Callable[[Client], Awaitable[T]]) -> T:
        mode = VERSIONS[self.version]
        if isinstance(self.place, StdioServerParameters):
            async with Client(self.place, mode=mode) as client:
                return await words(client)
        headers = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
            transport = streamable_http_client(self.place, http_client=http)
            async with Client(transport, mode=mode) as client:
                assert client.protocol_version == self.version
                return await words(client)

    def list_tools(self) -> list[Tool]:
        """The tools that it is offered."""

        async def ask(client: Client) -> list[Tool]:
            return (await client.list_tools()).tools

        return self.speak(ask)

    def call(self, name: str, **arguments: Any) -> CallToolResult:
        """The result of a call, whose data fit what was announced."""

        async def ask(client: Client) -> CallToolResult:
            return await client.call_tool(name, arguments)

        return self.speak(ask)

    def get(self, name: str, **arguments: Any) -> Any:
        """What a call gives, which must be done."""
        result = self.call(name, **arguments)
        assert not result.is_error, result.structured_content
        return result.structured_content

    def refused(self, name: str, **arguments: Any) -> Any:
        """The error of a call, which must not be done."""
        result = self.call(name, **arguments)
        assert result.is_error, result.structured_content
        return result.structured_content["error"]
