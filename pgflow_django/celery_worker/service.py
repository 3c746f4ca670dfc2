"""The thread of the parent process that looks after its loops and talks to the database."""

from __future__ import annotations

import logging
import selectors
import threading
import time
from collections.abc import Callable

import psycopg
from django.db import DatabaseError, InterfaceError

from pgflow_django.celery_worker.listener import Listener
from pgflow_django.celery_worker.node import Node
from pgflow_django.celery_worker.pipe import Pipe
from pgflow_django.celery_worker.process_crew import TICK, BoardCrew
from pgflow_django.celery_worker.thread_crew import ThreadCrew
from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.storage.sqlstates import remedy_of
from pgflow_django.worker.patience import LONGEST_PAUSE, PASSING, Outage

logger = logging.getLogger("pgflow_django.worker")

_ERRORS = (DatabaseError, InterfaceError, DatabaseNotReady, psycopg.Error)
#: Seconds to try to unregister where the database is out of reach.
_GOODBYE = 5.0


class Service(threading.Thread):
    """Tends the node, the crew and the loops until it is closed.

    ``prepare`` runs first, once the database can be reached. In every round ``tend_loops``
    dispatches loops and tells some to leave, and gives the seconds until it wants to run again;
    ``forget_loops`` hears of those whose processes are gone.
    """

    def __init__(
        self,
        crew: BoardCrew | ThreadCrew,
        node: Node,
        listener: Listener,
        outage: Outage,
        *,
        prepare: Callable[[], None],
        tend_loops: Callable[[], float],
        forget_loops: Callable[[list[int]], None],
    ) -> None:
        super().__init__(name="pgflow-service", daemon=True)
        self.crew = crew
        self.node = node
        self.listener = listener
        self.outage = outage
        self._prepare: Callable[[], None] | None = prepare
        self._tend_loops = tend_loops
        self._forget_loops = forget_loops
        self._is_closing = False
        self._pipe = Pipe()
        self._pause = 0.0
        self._retry_at = 0.0
        self._has_news = False
        self._heard: set[str] = set()

    def poke(self) -> None:
        """Let it have a look now; from any thread."""
        self._pipe.wake()

    def close(self) -> None:
        """Wait until every loop has ended and all is handed back, then end."""
        self._is_closing = True
        self.crew.close()
        self.poke()
        # Not join(): this thread is to notice signals.
        while self.is_alive():
            self.join(0.1)

    def run(self) -> None:
        """Work until closed."""
        try:
            while not (self._is_closing and self.crew.is_gone()):
                self._round_surely()
            self._say_goodbye()
        finally:
            self.node.close()

    def _round_surely(self) -> None:
        """Without this thread nobody replaces a loop: whatever happens here, it goes on."""
        try:
            self._round()
        except BaseException:
            logger.exception("this worker stumbled, and goes on")
            self.node.close()
            time.sleep(LONGEST_PAUSE)

    def _round(self) -> None:
        if isinstance(self.crew, BoardCrew):
            self._forget_loops(self.crew.watch())
        pause = self._tend_loops()
        now = time.monotonic()
        if now >= self._retry_at:
            self._talk()
            pause = min(pause, self.node.next_at() - time.monotonic())
        else:
            pause = min(pause, self._retry_at - now)
        self._wait(max(0.0, min(pause, TICK if not self.crew.is_gone() else 1.0)))

    def _talk(self) -> None:
        """Everything that needs the database."""
        try:
            if self._prepare is not None:
                self._prepare()
                self._prepare = None
            has_news, self._has_news = self._has_news, False
            heard, self._heard = self._heard | self.node.hear(), set()
            self.node.tend(heard, has_news=has_news)
            if isinstance(self.crew, BoardCrew):
                self.crew.tell_database()
        except _ERRORS as error:
            if remedy_of(error) in PASSING:
                self.outage.begin(error)
            else:
                logger.exception("the database refused what this worker asked for")
            self.node.close()
            self._pause = min(max(0.05, self._pause * 2), LONGEST_PAUSE)
            self._retry_at = time.monotonic() + self._pause
        else:
            self.outage.end()
            self._pause = 0.0

    def _wait(self, seconds: float) -> None:
        """Wait for a notification, for a child, for a poke."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            listening = None if self.node.is_patient else self.listener.fileno()
            if listening is not None:
                selector.register(listening, selectors.EVENT_READ)
            if isinstance(self.crew, BoardCrew):
                selector.register(self.crew.board.news, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(seconds)}
        if listening in ready:
            self._hear()
        if self._pipe.fileno() in ready:
            self._pipe.read()
            self._has_news = True
        if isinstance(self.crew, BoardCrew) and self.crew.board.news.fileno() in ready:
            self.crew.board.news.read()
            self._has_news = True

    def _hear(self) -> None:
        """Wake somebody first, then do all else."""
        try:
            self._heard |= self.node.hear()
        except _ERRORS as error:
            self.outage.begin(error)

    def _say_goodbye(self) -> None:
        give_up_at = time.monotonic() + _GOODBYE
        while time.monotonic() < give_up_at:
            try:
                if isinstance(self.crew, BoardCrew):
                    self.crew.tell_database()
                self.node.leave()
            except _ERRORS:
                self.node.close()
                time.sleep(0.2)
            else:
                return
