"""What every test stands on; also marks this folder, so that tests import its helper modules."""

import signal
from pathlib import Path

import pytest

# A shell starts background jobs with SIGINT ignored, and children inherit that. Tests of Ctrl-C
# must not depend on how they were started.
signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
PROCESSES = ("e2e", "mcp_door", "cli/test_cli_chat.py", "server/test_serve_cli.py")
"""Tests that drive other processes, whose timing the machine decides."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of other processes a second try, which tells a busy machine from a fault."""
    for item in items:
        if any(item.path.is_relative_to(HERE / one) for one in PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))
