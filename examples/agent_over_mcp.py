"""An agent from a sentence to a finished run, over MCP: ``python examples/agent_over_mcp.py``.

It starts the demo site with a worker, on the embedded PostgreSQL or on ``DATABASE_URL``, signs in
with a token, and does what a language model would do, with a script in place of the model: it finds
functions, sends a flow that is wrong, repairs it from the answers alone, tries it, and hands it in.
A person approves in the admin. A run fails, the agent explains and mends it, and starts anew.
"""

from __future__ import annotations

import asyncio
import http.cookiejar
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

ROOT = Path(__file__).resolve().parents[1]
PERSON = "demo"
#: Seconds that the site gets to answer, and a run to end.
PATIENCE = 120
#: Characters that are shown of each message.
WIDTH = 600

JSON = dict[str, Any]

SENTENCE = "Which of the day's orders can be sent? Print their labels."
#: The first try of a model that has read the list of functions in a hurry.
WRONG: JSON = {
    "workflow_slug": f"labels_{os.getpid()}",
    "description": SENTENCE,
    "max_attempts": 1,
    "steps": [
        {"slug": "list_orders", "timeout": 1},
        {"slug": "check_stock", "depends_on": ["list_order"], "type": "map"},
        {"slug": "labels", "uses": "print_label", "depends_on": ["check_stock"]},
    ],
}


class Agent:
    """What calls the tools, and prints each exchange."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, tool: str, **arguments: Any) -> JSON:
        """What a tool gives, or ``{"error": …}``."""
        say("agent", f"{tool} {json.dumps(arguments)}")
        result = await self.client.call_tool(tool, arguments)
        say("site", json.dumps(result.structured_content))
        answer: JSON = result.structured_content
        return answer

    async def call(self, tool: str, **arguments: Any) -> JSON:
        """What a tool gives; an error ends the script, which expects none here."""
        answer = await self.ask(tool, **arguments)
        if "error" in answer:
            raise RuntimeError(f"{tool} was refused")
        return answer

    async def draw(self) -> JSON:
        """Save the wrong flow and repair it, one problem after another, from what is answered."""
        functions = await self.call("search_step_functions", query=SENTENCE, detail="full")
        say("agent", f"{functions['total']} functions fit")
        document = WRONG
        while True:
            answer = await self.ask("save_flow", document=document, model="scripted")
            problems = answer.get("error", answer).get("problems", [])
            if not problems:
                return answer
            document = mended(document, problems[0])
            if "error" not in answer:  # it is stored, and can't be published so
                patch = problems[0].get("fix") or nearest(problems[0])
                return await self.call(
                    "patch_flow", slug=answer["slug"], version=answer["version"], patch=patch
                )

    async def hand_in(self, draft: JSON) -> str:
        """Let a person approve a draft; where that person looks."""
        slug, version = draft["slug"], draft["version"]
        answer = await self.call("publish_flow", slug=slug, version=version, note=SENTENCE)
        if answer["status"] != "waiting_for_approval":
            raise RuntimeError("it was published without a person")
        url: str = answer["url"]
        return url

    async def wait(self, started: JSON) -> JSON:
        """How a run stands when it has ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            run = await self.call(
                "get_run", run_id=started["run_id"], wait_seconds=20, payload=True
            )
            if run["status"] not in {"started", "paused"}:
                return run
        raise RuntimeError("the run has not ended")


def nearest(problem: JSON) -> list[JSON]:
    """The patch that puts the nearest name in the place of a wrong one."""
    return [{"op": "replace", "path": problem["pointer"], "value": problem["suggestions"][0]}]


def mended(document: JSON, problem: JSON) -> JSON:
    """A document without a problem, by the fix that came with it."""
    copy: JSON = json.loads(json.dumps(document))
    for operation in problem.get("fix") or nearest(problem):
        if operation["op"] != "replace":
            raise RuntimeError(f"the script can't {operation['op']}")
        *path, last = operation["path"].split("/")[1:]
        place: Any = copy
        for name in path:
            place = place[int(name) if isinstance(place, list) else name]
        place[int(last) if isinstance(place, list) else last] = operation["value"]
    return copy


async def work(base: str, secret: str) -> None:
    """All that the agent does, and the person between."""
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as connection,
        Client(streamable_http_client(f"{base}/agents/mcp/", http_client=connection)) as client,
    ):
        agent = Agent(client)
        say("agent", f"speaks {client.protocol_version}; asked: {SENTENCE}")
        draft = await agent.draw()
        slug = draft["slug"]
        tried = await agent.wait(
            await agent.call("start_trial", slug=slug, input={"pace": 0, "orders": 2})
        )
        expect(tried, "completed")
        approve(await agent.hand_in(draft), draft)

        day = {"pace": 2, "orders": 3}
        broken = await agent.wait(await agent.call("start_run", slug=slug, input=day))
        expect(broken, "failed")
        why = await agent.call("explain_run", run_id=broken["run_id"])
        flow = await agent.call("get_flow", slug=slug)
        patch, version = mend(why, flow), flow["version"]
        draft = await agent.call(
            "patch_flow", slug=slug, version=version, patch=patch, note=why["headline"]
        )
        approve(await agent.hand_in(draft), draft)

        done = await agent.wait(await agent.call("start_run", slug=slug, input=day))
        expect(done, "completed")
        say("agent", f"the labels: {done['output']['labels']}")


def mend(why: JSON, flow: JSON) -> list[JSON]:
    """The patch that the explanation of a failed run asks for."""
    cause = why["cause"]
    if cause["code"] != "step_timeout":
        raise RuntimeError(f"the script knows nothing of {cause['code']}")
    slugs = [step["slug"] for step in flow["document"]["steps"]]
    place = f"/steps/{slugs.index(cause['step'])}/timeout"
    return [{"op": "replace", "path": place, "value": 30}]


def expect(run: JSON, status: str) -> None:
    """End the script where a run has ended otherwise."""
    if run["status"] != status:
        raise RuntimeError(f"the run is {run['status']}, not {status}")


def approve(url: str, draft: JSON) -> None:
    """A person logs in to the admin, opens what waits for approval, and publishes it."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

    def post(address: str, **fields: Any) -> None:
        token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
        data = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        browser.open(address, data, timeout=PATIENCE).close()

    say("person", f"opens {url}")
    with browser.open(url, timeout=PATIENCE) as page:
        login = page.geturl()
    post(login, username=PERSON, password=PERSON)
    with browser.open(url, timeout=PATIENCE) as page:
        if "handed this in" not in page.read().decode():
            raise RuntimeError("nothing waits for approval there")
    post(urllib.parse.urljoin(url, "../publish/"), version=draft["version"])
    say("person", f"has published version {draft['version']} of the draft")


@contextmanager
def demo_site() -> Iterator[str]:
    """The demo site with a worker, until the block ends; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "manage.py", "serve", address, "--workers", "1", "--noreload"]
    site = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr)
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(f"http://{address}/"):
            if site.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the demo site does not start: see above")
            time.sleep(0.2)
        yield f"http://{address}"
    finally:
        site.send_signal(signal.SIGINT)
        site.wait(PATIENCE)


def answers(url: str) -> bool:
    """Whether a site answers there."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def make_token() -> str:
    """A token that writes drafts and starts runs, and publishes nothing."""
    words = ["agenttoken", "create", PERSON, "--name", "scripted", "--access", "run", "--json"]
    made = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    secret: str = json.loads(made.stdout)["token"]
    return secret


def say(who: str, what: str) -> None:
    """Print one side of an exchange."""
    cut = what if len(what) <= WIDTH else f"{what[:WIDTH]} …"
    print(f"{who:>6}: {cut}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    with demo_site() as base:
        asyncio.run(work(base, make_token()))
