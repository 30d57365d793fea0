"""How a server is run: where it listens, who may ask, and what a request may cost."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from needlepoint.methods.dialogue import Helpers

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Serving:
    """Settings of one server.

    ``token`` is required of every request when it is set, and must be set when ``host`` is not
    this machine alone. ``hosts`` are names under which requests may arrive (against DNS
    rebinding). Sizes are bytes, times seconds.
    """

    host: str = "127.0.0.1"
    port: int = 8417
    token: str | None = None
    hosts: tuple[str, ...] = field(default=LOOPBACK)
    read_only: bool = False
    index_below: tuple[str, ...] = ()
    """Folders that may be indexed besides those the library has."""
    allow_fetch: bool = False
    """Whether questions may name pictures on the web; never those of private networks."""
    upload_bytes: int = 64 * 2**20
    upload_pixels: int = 100_000_000
    upload_seconds: float = 20.0
    uploads_kept: int = 64
    uploads_bytes: int = 256 * 2**20
    """Bytes of all kept uploads together; the oldest go first."""
    body_seconds: float = 60.0
    """Within this time the body of a request must arrive."""
    waiting: int = 64
    """Questions that may wait; more are turned away with 429."""
    answer_seconds: float = 30.0
    idle_seconds: float = 600.0
    """After so long without a question, models are let go."""
    helpers: Helpers = field(default_factory=Helpers)
    """Outside models that conversations may use."""

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK or _is_loopback(self.host)

    def answers_to(self, name: str) -> bool:
        """Whether a request may name this server so: as one of ``hosts``, or by a bare address.

        No foreign name server can make an address its own; a server for this machine alone still
        wants that of this machine.
        """
        if name in self.hosts or name == self.host.lower() or _is_loopback(name):
            return True
        return not self.local and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
