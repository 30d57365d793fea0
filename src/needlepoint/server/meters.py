"""What a server counts and times, for ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class Meters:
    """The figures of one server; several servers in one process each have their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "needlepoint_requests", "Answers given.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "needlepoint_request_seconds",
            "From a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.stage = Histogram(
            "needlepoint_stage_seconds",
            "Stages of answering a question.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "needlepoint_batch_questions",
            "Questions answered together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.rejected = Counter(
            "needlepoint_rejected", "Questions turned away with 429.", registry=registry
        )
        ProcessCollector(namespace="needlepoint", registry=registry)

    def gauge(self, name: str, told: str, value: Callable[[], float]) -> None:
        """Show a number that is looked up when it is asked for."""
        gauge = Gauge(f"needlepoint_{name}", told, registry=self.registry)
        gauge.set_function(value)

    def text(self) -> bytes:
        """All figures in the format of Prometheus."""
        return generate_latest(self.registry)


class Counting:
    """Middleware that counts and times answers by route and status."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = _route(scope)
            self._meters.requests.labels(route, str(status)).inc()
            self._meters.seconds.labels(route).observe(time.monotonic() - began)


def _route(scope: Scope) -> str:
    """The pattern of the address, never the address: those are without number."""
    found = scope.get("route")
    pattern = getattr(found, "path", None)
    if isinstance(pattern, str):
        return pattern
    return "/static" if scope["path"].startswith("/static/") else "other"
