"""Files that commands write: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pgflow_django.cli.base import BadUsage


class OutputFile:
    """A file that will be written, in a folder that was tried before the work began.

    Its text stands in a file beside it until it is complete, then takes its place in one step.
    """

    def __init__(self, name: str | Path, option: str) -> None:
        """Raises ``BadUsage`` where it can't be written; ``option`` says who asked for it."""
        if not str(name):
            raise BadUsage(f"{option} needs the name of a file.")
        self._option = option
        self.path = Path(name).expanduser()
        if self.path.is_dir():
            raise BadUsage(f'{option}: "{self.path}" is a folder; name a file in it.')
        folder = self.path.parent
        if not folder.is_dir():
            raise BadUsage(f'{option}: there is no folder "{folder}".')
        self._open().unlink()

    def write(self, text: str) -> None:
        """Replace the file by one with this text. Raises ``BadUsage``: the disk is full, say."""
        part = self._open()
        try:
            part.write_text(text, encoding="utf-8")
            part.chmod(self._mode())
            part.replace(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise self._refusal(error) from None

    def _open(self) -> Path:
        """A new empty file in the same folder."""
        try:
            number, name = tempfile.mkstemp(
                prefix=f".{self.path.name[:100]}.", dir=self.path.parent
            )
        except OSError as error:
            raise self._refusal(error) from None
        os.close(number)
        return Path(name)

    def _mode(self) -> int:
        """The permissions that it has, or that a new file would get."""
        try:
            return self.path.stat().st_mode & 0o777
        except FileNotFoundError:
            mask = os.umask(0)
            os.umask(mask)
            return 0o666 & ~mask

    def _refusal(self, error: OSError) -> BadUsage:
        return BadUsage(f'{self._option}: can\'t write "{self.path}": {error.strerror}.')
