"""Every operation with generated requests: no 5xx, and no answer that its description lacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup

# Imported here, not when first used: pytest rewrites the modules of its plugins, and Python 3.11
# cannot parse in two threads at once, while a server's threads import what they need.
from schemathesis.specs.openapi import schemas as _  # noqa: F401
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from needlepoint.library import Library
from needlepoint.server.app import create_app
from needlepoint.server.settings import Serving

EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def app(served_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """A server of a library of its own, which the requests may change."""
    folder = tmp_path_factory.mktemp("fuzz") / "library"
    shutil.copytree(served_folder, folder)
    with Library.open(folder) as library:
        made = create_app(library, Serving(hosts=("testserver",)))
        yield made
        made.state.shared.jobs.close()


def test_every_operation_answers_as_described(app: FastAPI) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 20
    wrong: dict[str, str] = {}
    for operation in operations:
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case) -> None:
                case.call_and_validate(checks=CHECKS)

            try:
                check()
            except Unsatisfiable:
                pass  # nothing of this operation can be wrong
            except FailureGroup as failures:
                wrong[f"{operation.label} ({mode.value})"] = str(failures)
    assert not wrong, "\n\n".join(f"{label}: {told}" for label, told in wrong.items())
