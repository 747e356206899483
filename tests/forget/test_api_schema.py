"""Every operation answers as /openapi.json says, whatever it is sent: schemathesis against a real server.

vLLM's own routes are not ours, and not served here. `SCHEMA_EXAMPLES=100` looks for longer.
"""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.forget.service import populate, served

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "4"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
Service = tuple[str, list[str]]


@pytest.fixture(scope="module")
def service(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Its address, and ids of requests that are there."""
    ids = populate(redis_url)
    with served(redis_url, tmp_path_factory.mktemp("keys")) as url:
        yield url, ids


def test_every_operation(service: Service) -> None:
    url, ids = service
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    # What changes nothing comes first: once a request has been withdrawn or retried, with nobody there to enforce that,
    # its event stream does not end by itself.
    operations = sorted((found.ok() for found in schema.get_all_operations()), key=lambda one: one.method != "get")
    assert len(operations) >= 20
    wrong = [error for operation in operations for mode in MODES if (error := attack(operation, mode, ids))]
    assert not wrong, "\n\n".join(wrong)


def attack(operation: Any, mode: schemathesis.GenerationMode, ids: list[str]) -> str | None:
    """What was wrong with an answer, if one was."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: schemathesis.Case) -> None:
        known = random.Random(repr(case.path_parameters))
        if "{id}" in case.path and "/keys/" not in case.path and known.random() < 0.7:
            case.path_parameters["id"] = known.choice(ids)
        response = case.call(timeout=60)
        # Too large is a refusal, though the check does not count it as one.
        checks = [check for check in CHECKS if response.status_code != 413 or check is not negative_data_rejection]
        case.validate_response(response, checks=checks)

    try:
        one()
    except Unsatisfiable:  # it takes nothing that could be wrong
        assert mode is schemathesis.GenerationMode.NEGATIVE
    except (Exception, BaseExceptionGroup) as error:  # schemathesis raises groups
        return f"{operation.label}: {error}"
    return None
