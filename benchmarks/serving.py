"""A ``needlepoint serve`` to be measured or mistreated: started, watched and ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

CODE = "from needlepoint.cli.main import main; main()"


class Server:
    """A running server process; ``said`` is what it has written to stderr."""

    def __init__(self, library: Path, *arguments: str, python: str = sys.executable) -> None:
        command = [python, "-c", CODE, "--library", str(library), "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *arguments], stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
        )
        self.said: list[str] = []
        self.address = ""
        self._ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        if not self._ready.wait(120) or not self.address:
            self.process.kill()
            raise SystemExit("the server did not start:\n" + "".join(self.said))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r"needlepoint: (https?://\S+)/\n", line)
            if found:
                self.address = found[1]
                self._ready.set()
        self._ready.set()

    def memory(self) -> dict[str, float]:
        """MB resident, and of these what is the process's own and not a mapped file."""
        told = Path(f"/proc/{self.process.pid}/status").read_text()
        found = dict(re.findall(r"(VmRSS|RssAnon):\s+(\d+) kB", told))
        return {"rss_mb": int(found["VmRSS"]) / 1024, "own_mb": int(found["RssAnon"]) / 1024}

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, insist after a minute; returns the exit code."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, how)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextlib.contextmanager
def serving(library: Path, *arguments: str, python: str = sys.executable) -> Iterator[Server]:
    """A server that is ended at the end."""
    server = Server(library, *arguments, python=python)
    try:
        yield server
    finally:
        server.end()


def until(condition: object, seconds: float = 120.0) -> None:
    """Wait until something callable is true."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {condition}")
        time.sleep(0.05)
