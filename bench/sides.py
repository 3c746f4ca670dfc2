"""The two sides of ``--compare``: their packages in folders, their databases, their processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import settings
from bench.checks import WrongResult
from bench.database import Refused, empty_databases

ROOT = Path(__file__).resolve().parent.parent
#: What a side consists of: the package, and the site that it was measured with at the time.
PARTS = ("pgflow_django", "project")
SIDES = ("before", "after")
#: Seconds that a side gets to stop its workers.
_GOODBYE = 60.0


class Side:
    """A process that measures with the package of one folder, in a database of its own."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process

    def count(self) -> int:
        """How many workloads it knows, once it is ready. Raises ``Refused``."""
        line = self._read()
        if not line:
            raise Refused(f'the side "{self.name}" does not start under this bench: see above')
        return int(line)

    def measure(self, number: int) -> dict[str, Any]:
        """The JSON object of one workload. Raises ``WrongResult``."""
        assert self._process.stdin is not None
        print(number, file=self._process.stdin, flush=True)
        line = self._read()
        if not line:
            raise WrongResult(f'the side "{self.name}" has ended: see above')
        found: dict[str, Any] = json.loads(line)
        return found

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def folders_and_databases(ref: str) -> Iterator[Path]:
    """What both sides need, for a while; gives the folder of their folders. Raises ``Refused``."""
    commit = _find_commit(ref)
    names = [f"{settings.NAME}_{name}" for name in SIDES]
    with TemporaryDirectory(prefix="pgflow-bench-") as folder, empty_databases(names):
        _unpack(commit, Path(folder, "before"))
        _copy(Path(folder, "after"))
        yield Path(folder)


@contextmanager
def running(folder: Path) -> Iterator[list[Side]]:
    """Both sides, up for a while."""
    with ExitStack() as stack:
        yield [stack.enter_context(_running(folder / name, name)) for name in SIDES]


def _find_commit(ref: str) -> str:
    command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"]
    try:
        found = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        raise Refused("--compare needs git, which is not there") from None
    if found.returncode:
        raise Refused(f"there is no commit {ref!r} in the repository of this checkout")
    return found.stdout.strip()


def _unpack(commit: str, folder: Path) -> None:
    """Put the parts of a commit into a folder."""
    command = ["git", "archive", "--format=zip", commit, *PARTS]
    found = subprocess.run(command, check=False, cwd=ROOT, capture_output=True)
    if found.returncode:
        raise Refused(f"{commit} can't be compared: {found.stderr.decode().strip()}")
    with zipfile.ZipFile(BytesIO(found.stdout)) as archive:
        archive.extractall(folder)


def _copy(folder: Path) -> None:
    """The same of the working tree, which may be edited meanwhile."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))


@contextmanager
def _running(folder: Path, name: str) -> Iterator[Side]:
    """One of them; it stops when its input ends, or as it is told to."""
    command = [sys.executable, "-m", "bench.side", *sys.argv[1:]]
    with subprocess.Popen(
        [*command, "--database", f"{settings.NAME}_{name}"],
        cwd=folder,  # Python looks for modules there first
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the process that asks
    ) as process:
        assert process.stdin is not None
        try:
            yield Side(name, process)
        except BaseException:
            process.terminate()
            raise
        finally:
            process.stdin.close()
            try:
                process.wait(_GOODBYE)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment() -> dict[str, str]:
    """For a side: this ``bench``, and the server of this checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if not os.environ.get("DATABASE_URL"):
        from project.embedded.cluster import data_folder

        environment["PGFLOW_PGDATA"] = str(data_folder())
    return environment
