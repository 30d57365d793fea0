"""A request as bytes on the wire, well formed or not."""

from __future__ import annotations

from dataclasses import dataclass

HOST = b"127.0.0.1"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request. ``plain`` is set where the refusal comes of the protocol, in plain words."""

    room: str
    name: str
    wire: bytes
    plain: bool = False


def request(
    method: str,
    target: str | bytes,
    body: bytes = b"",
    headers: dict[str, str | bytes] | None = None,
) -> bytes:
    """The bytes of a request that is well formed but for what it is given."""
    raw = target if isinstance(target, bytes) else target.encode("utf-8", "surrogatepass")
    lines = {"Host": HOST, "Connection": b"close", **(headers or {})}
    if body or method in ("POST", "PUT"):
        lines = {"Content-Length": str(len(body)), **lines}
    head = b"".join(
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
        for name, value in lines.items()
    )
    return method.encode() + b" " + raw + b" HTTP/1.1\r\n" + head + b"\r\n" + body
