"""``make serve``: one command from an empty folder to a site whose worker runs flows."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.project.processes import ROOT, wait_until

pytestmark = pytest.mark.slow

#: What the demo site must not hear of.
OF_THE_TESTS = {"DATABASE_URL", "DJANGO_DEBUG", "CELERY_BROKER_URL"}


class Visitor:
    """Somebody with a browser that keeps cookies."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies = http.cookiejar.CookieJar()
        jar = urllib.request.HTTPCookieProcessor(self.cookies)
        self.opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> str:
        with self.opener.open(self.base + path, timeout=20) as answer:
            self.place, self.headers = answer.geturl(), answer.headers
            text: str = answer.read().decode()
            return text

    def post(self, path: str, **values: str) -> str:
        token = next(cookie.value for cookie in self.cookies if cookie.name == "csrftoken")
        data = urllib.parse.urlencode({**values, "csrfmiddlewaretoken": token or ""}).encode()
        request = urllib.request.Request(self.base + path, data)  # noqa: S310 - of ours
        request.add_header("Referer", self.base + path)
        with self.opener.open(request, timeout=20) as answer:
            self.place = answer.geturl()
            text: str = answer.read().decode()
            return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command until the block ends; whatever it started is gone afterwards."""
    command = [sys.executable, "manage.py", "serve", f"127.0.0.1:{port}", "--workers", "1"]
    plain = {key: value for key, value in os.environ.items() if key not in OF_THE_TESTS}
    own = {"PGFLOW_PGDATA": str(folder), "DJANGO_SETTINGS_MODULE": "project.settings"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--noreload"],
            cwd=ROOT,
            env={**plain, **own},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "Ctrl-C ends" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        if process.poll() is None:
            process.kill()


def test_from_nothing_to_a_finished_run(folder: Path, place: Path) -> None:
    port = free_port()
    with serving(folder, port, place / "first.log") as process:
        said = (place / "first.log").read_text()
        assert f"http://127.0.0.1:{port}/admin/" in said
        [(name, password)] = re.findall(r"log in as (\w+), password (\w+)", said)
        visitor = Visitor(f"http://127.0.0.1:{port}")
        visitor.get("/admin/login/")
        visitor.post("/admin/login/", username=name, password=password, next="/admin/")
        page = visitor.get("/admin/pgflow_django/workflow/")
        assert "shop_day" in page
        assert "airports_etl" in page
        assert "default-src 'none'" in visitor.headers["Content-Security-Policy"]
        start = "/admin/pgflow_django/workflow/shop_day/run/"
        wait_until(lambda: "No worker" not in visitor.get(start))
        visitor.post(start, mode="json", input='{"pace": 0, "orders": 3}', token="a" * 32)
        run = visitor.place.removeprefix(visitor.base)
        wait_until(lambda: 'data-ended="completed"' in visitor.get(run))
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert psutil.wait_procs(children, timeout=5)[1] == []
    with serving(folder, port, place / "second.log") as process:
        said = (place / "second.log").read_text()
        assert "password demo" in said
        assert "Made the user" not in said
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@override_settings(DEBUG=False)
def test_a_site_that_is_not_for_development_gets_no_known_password() -> None:
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("serve")
