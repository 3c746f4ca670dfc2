"""``python -m bench --compare REF``, from the outside, in checkouts of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from project.settings import BASE_DIR
from tests.bench.test_bench import bench, databases
from tests.celery.processes import is_alive

#: Each makes a checkout of its own, and starts both sides.
pytestmark = pytest.mark.slow

#: What makes the last step of a chain slower in whatever process it runs, by so much that no
#: neighbour on the machine can hide it.
SLOWER = """
import time as _time

_run = Attempt.run


def _run_slowly(self, resolve):
    if self.task.group.step_slug == "c":
        _time.sleep(0.3)
    return _run(self, resolve)


Attempt.run = _run_slowly
"""
TINY = ("--scale", "0.005", "--rounds", "1")


class Checkout:
    """A repository with one commit, that of this working tree, on the server of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.database = f"pgflow_bench_test_{secrets.token_hex(4)}"
        for part in ("bench", "pgflow_django", "project"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(BASE_DIR / part, self.folder / part, ignore=ignored)
        self.invoke = self.folder / "pgflow_django" / "worker" / "invoke.py"
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "All of it")

    def git(self, *arguments: str) -> None:
        names = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        command = ["git", *names, *arguments]
        subprocess.run(command, check=True, cwd=self.folder)

    def begin(self, ref: str, *arguments: str) -> subprocess.Popen[str]:
        environment = os.environ | {"TMPDIR": str(self.temporary)}
        if not os.environ.get("DATABASE_URL"):
            from project.embedded.cluster import data_folder

            environment["PGFLOW_PGDATA"] = str(data_folder())
        command = [sys.executable, "-m", "bench", "--compare", ref, "--database", self.database]
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def compare(self, ref: str, *arguments: str) -> tuple[int, list[dict[str, object]], str]:
        """Exit status, lines of standard output, standard error."""
        with self.begin(ref, *arguments) as process:
            out, error = process.communicate()
        self.assert_nothing_is_left()
        return process.returncode, [json.loads(line) for line in out.splitlines()], error

    def assert_nothing_is_left(self) -> None:
        assert not [name for name in databases() if name.startswith(self.database)]
        assert not [*self.temporary.iterdir()]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_slower_working_tree_ends_with_status_1(checkout: Checkout) -> None:
    with checkout.invoke.open("a", encoding="utf-8") as file:
        file.write(SLOWER)
    status, lines, error = checkout.compare("HEAD", "--only", "W1", *TINY)
    assert status == 1, error
    assert [(line["engine"], line["workload"], line["size"]) for line in lines] == [
        ("inprocess", "W1", 2),
        ("celery-prefork-2", "W1", 25),
    ]
    for line in lines:
        assert line["is_worse"], error
        assert line["figure"] == "tasks_per_s"
    assert "1 of 1 more" in error


def test_a_faster_working_tree_ends_with_status_0(checkout: Checkout) -> None:
    quick = checkout.invoke.read_text(encoding="utf-8")
    checkout.invoke.write_text(quick + SLOWER, encoding="utf-8")
    checkout.git("commit", "--quiet", "--all", "--message", "Slower")
    checkout.invoke.write_text(quick, encoding="utf-8")
    status, lines, error = checkout.compare("HEAD", "--only", "W1", *TINY)
    assert status == 0, error
    assert not any(line["is_worse"] for line in lines)
    assert "W1 chains: 25" in error
    assert "more" not in error


def test_all_that_is_judged_is_measured_unless_told_otherwise(checkout: Checkout) -> None:
    status, lines, error = checkout.compare("HEAD", "--engine", "inprocess", *TINY)
    assert status in {0, 1}, error
    assert {line["workload"] for line in lines} == {"W1", "W1bulk", "W2", "W3", "W4"}
    assert any(line["is_worse"] for line in lines) == (status == 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_where_it_is_interrupted(checkout: Checkout, number: int) -> None:
    with checkout.begin("HEAD", "--engine", "celery", "--only", "W1") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 1" in line:
                break
        while not (workers := _workers(process)):
            assert process.poll() is None
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, error = process.communicate()
    assert process.returncode == 130, error
    assert len(family) >= len(workers)
    # Who has lost its parent is buried by another, in its time.
    _, left = psutil.wait_procs(family, 10)
    assert not [one for one in left if is_alive(one)]
    checkout.assert_nothing_is_left()


def _workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The Celery workers of both sides."""
    family = psutil.Process(process.pid).children(recursive=True)
    found = []
    for each in family:
        try:
            found += [each] if "celery" in each.cmdline() else []
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_commit_that_is_not_there_ends_with_status_2() -> None:
    result = bench("--compare", "no-such-branch", *TINY)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "bench: there is no commit 'no-such-branch' in the repository of this checkout\n"
    )


def test_a_commit_whose_package_does_not_start_ends_with_status_2(checkout: Checkout) -> None:
    init = checkout.folder / "pgflow_django" / "__init__.py"
    text = init.read_text(encoding="utf-8")
    init.write_text("raise RuntimeError('not to be had')", encoding="utf-8")
    checkout.git("commit", "--quiet", "--all", "--message", "Broken")
    init.write_text(text, encoding="utf-8")
    status, lines, error = checkout.compare("HEAD", *TINY)
    assert (status, lines) == (2, [])
    assert "not to be had" in error
    assert error.endswith('bench: the side "before" does not start under this bench: see above\n')


@pytest.mark.parametrize("arguments", [["--only", "W5"], ["--only", "idle"], ["--write-docs"]])
def test_what_it_cannot_compare_ends_with_status_2(arguments: list[str]) -> None:
    result = bench("--compare", "HEAD", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--compare" in result.stderr.splitlines()[-1]
