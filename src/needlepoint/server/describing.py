"""The description of the API: what FastAPI makes of the routes, and problems for every refusal."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from needlepoint import __version__
from needlepoint.server.problems import MEDIA

_TOLD = """\
Ask a picture library: in words, with pictures, with pieces of pictures, in a conversation.

Every refusal is a problem (RFC 9457) whose `type` programs can compare and whose `detail` people
can read. A server that was started with a token wants it with every request, as
`Authorization: Bearer TOKEN`.
"""

_EVERYWHERE = {
    400: "The request cannot be understood.",
    401: "The server wants its token.",
    403: "Not allowed here, or sent by the page of another site.",
    421: "The server does not answer to this name.",
    422: "A value is not one that is allowed.",
    429: "Too many ask at once; `Retry-After` says when to ask again.",
    500: "Something went wrong; the server's log tells of the request.",
    503: "The library or a model is not there at the moment, or the answer took too long.",
}
_REST = "Any other refusal."


class ProblemOut(BaseModel):
    """A refusal: RFC 9457."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="urn:needlepoint:SLUG", pattern="^urn:needlepoint:[a-z-]+$")
    title: str
    status: int
    detail: str
    instance: str


class Described(FastAPI):
    """An application whose description tells of every answer."""

    def openapi(self) -> dict[str, Any]:
        """The description, in the form of OpenAPI 3.1."""
        if self.openapi_schema is None:
            self.openapi_schema = _described(self)
        return self.openapi_schema


def _described(app: FastAPI) -> dict[str, Any]:
    told = get_openapi(
        title="needlepoint", version=__version__, description=_TOLD, routes=app.routes
    )
    schemas = told["components"]["schemas"]
    schemas["Problem"] = ProblemOut.model_json_schema()
    for made_by_fastapi in ("HTTPValidationError", "ValidationError"):
        schemas.pop(made_by_fastapi, None)
    for operations in told["paths"].values():
        for operation in operations.values():
            _add_problems(operation["responses"])
    told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    told["security"] = [{}, {"token": []}]
    return told


def _add_problems(answers: dict[str, Any]) -> None:
    """Give every refusal of an operation the shape of a problem, those told of and the others."""
    shape = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, told in _EVERYWHERE.items():
        known = answers.get(str(status))
        own = known is not None and MEDIA in known.get("content", {})
        answers[str(status)] = known if own else {"description": told}
    answers["default"] = {"description": _REST}
    for code, answer in answers.items():
        if code == "default" or int(code) >= 400:
            answer["content"] = shape
