"""Hosts of their own, whose cable can be pulled: network namespaces, else ways through a proxy."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connection

from tests.celery.proxy import by_tcp
from tests.chaos.server import own_server

_IP = shutil.which("ip") or "ip"


class Host:
    """Where a worker runs: how it is started there, and how it reaches the database."""

    #: What stands before the command of a process that is to run there.
    prefix: tuple[str, ...] = ()
    #: Which of the two it is, for the summary.
    kind = ""

    def __init__(self, database: dict[str, Any]) -> None:
        self.database = database

    @property
    def options(self) -> dict[str, Any]:
        """What ``Fleet.add`` needs."""
        return {"database": self.database, "prefix": self.prefix}

    def cut(self) -> None:
        """Let nothing through any more: connections stay open, and nobody hears of it."""
        raise NotImplementedError

    def mend(self) -> None:
        """Let all through again."""
        raise NotImplementedError


class Namespace(Host):
    """A network namespace, with a virtual cable to ours."""

    kind = "network namespaces"

    def __init__(self, name: str, ours: str, theirs: str, stack: ExitStack) -> None:
        super().__init__({"HOST": ours})
        self._cable = name
        self.prefix = (_IP, "netns", "exec", name)
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "delete", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        # Of a namespace's end the kernel lets go of its devices only later.
        stack.callback(_ip, "link", "delete", name)
        _ip("address", "add", f"{ours}/24", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-n", name, "address", "add", f"{theirs}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "set", "eth0", "up")

    def cut(self) -> None:
        """See ``Host``."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """See ``Host``."""
        _ip("link", "set", self._cable, "up")


class Proxied(Host):
    """This very host, and a proxy that may stop."""

    kind = "a TCP proxy, since namespaces need root"

    def __init__(self, stack: ExitStack) -> None:
        address, self._stop = stack.enter_context(by_tcp(has_notifications=True))
        super().__init__(address)

    def cut(self) -> None:
        """See ``Host``."""
        self._stop.set()

    def mend(self) -> None:
        """See ``Host``."""
        self._stop.clear()


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts, and a server of the suite's own that all of them reach."""
    with ExitStack() as stack:
        if not can_make_namespaces():
            stack.enter_context(own_server())
            yield [Proxied(stack) for _ in range(count)]
            return
        # Names of devices are short; numbers of our own keep two suites apart.
        mine = os.getpid() % 200 + 20
        made: list[Host] = []
        addresses = tuple(f"10.{mine}.{number}.1" for number in range(count))
        for number, ours in enumerate(addresses):
            name = f"pgf{os.getpid()}x{number}"
            made.append(Namespace(name, ours, f"10.{mine}.{number}.2", stack))
        stack.enter_context(own_server(addresses))
        for host in made:
            host.database["PORT"] = connection.settings_dict["PORT"]
        yield made


def can_make_namespaces() -> bool:
    """Whether this user may, on this machine."""
    name = f"pgf{os.getpid()}try"
    if os.geteuid() or shutil.which(_IP) is None:
        return False
    try:
        _ip("netns", "add", name)
    except OSError:
        return False
    try:
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    except OSError:
        return False
    finally:
        _ip("netns", "delete", name)
    return True


def _ip(*arguments: str) -> None:
    result = subprocess.run([_IP, *arguments], check=False, capture_output=True, text=True)
    if result.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")
