"""The examples in /openapi.json are true: each is posted and gets the answer that is documented."""

from typing import Any

import httpx
from fastapi import FastAPI

from gateway.forget.model import ForgetRequest
from gateway.forget.problems import MEDIA_TYPE
from tests.forget.desk import Desk

OF_ANOTHER_STORE = "5d0d7c3e-3f0a-4f0e-9a37-0f1d2c3b4a59"


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def examples(app: FastAPI, operation: dict[str, Any]) -> list[dict[str, Any]]:
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    found: list[dict[str, Any]] = app.openapi()["components"]["schemas"][reference.rpartition("/")[2]]["examples"]
    return found


async def test_every_body_has_examples_that_are_accepted(app: FastAPI, http: httpx.AsyncClient) -> None:
    posted = 0
    for method, path, operation in operations(app):
        if "requestBody" not in operation:
            continue
        for example in examples(app, operation):
            response = await http.request(method, path, json=example)
            documented = operation["responses"][str(response.status_code)]
            assert response.is_success, (path, example, response.text)
            assert response.headers["content-type"] in documented["content"]
            posted += 1
    assert posted >= 6


async def test_the_id_of_the_examples_is_an_id(app: FastAPI, http: httpx.AsyncClient) -> None:
    for method, path, operation in operations(app):
        if "{id}" in path and "/keys/" not in path:
            (parameter,) = [one for one in operation["parameters"] if one["name"] == "id"]
            assert OF_ANOTHER_STORE in (parameter.get("examples") or parameter["schema"]["examples"])
            response = await http.request(method, path.format(id=OF_ANOTHER_STORE))
            assert (response.status_code, response.headers["content-type"]) == (404, MEDIA_TYPE), path


async def test_examples_in_answers_are_what_is_answered(app: FastAPI, desk: Desk) -> None:
    shown = (await desk.store.get(await desk.guarded())).model_dump(mode="json")
    for name, field in app.openapi()["components"]["schemas"]["ForgetRequest"]["properties"].items():
        for example in field.get("examples", []):
            assert ForgetRequest.model_validate({**shown, name: example})
