"""The keeper of one data folder: `python -m project.embedded FOLDER`, started by the server."""

from __future__ import annotations

import sys
from pathlib import Path

from project.embedded.server import Server

Server(Path(sys.argv[1])).keep()
