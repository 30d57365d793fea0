"""Vectors for other programs, in the shape of OpenAI's API: ``/v1/embeddings``, ``/v1/models``."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from needlepoint.errors import UsageError
from needlepoint.library.embedding import Embedded
from needlepoint.picture import Pixels
from needlepoint.server.problems import Json, Problem
from needlepoint.server.shared import Here, Shared

router = APIRouter(prefix="/v1", tags=["embeddings"])

MOST = 256
"""Texts or pictures of one request."""
AT_ONCE = 8
"""Those of them that are encoded together; questions that wait have their turn between."""

Text = Annotated[str, Field(min_length=1, max_length=100_000_000)]


class PictureIn(BaseModel):
    """A picture, as a data URL: ``data:image/jpeg;base64,…``."""

    image: Text


class EmbeddingsIn(BaseModel):
    """What is embedded. Strings are texts, or data URLs of pictures when ``modality`` says so."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(min_length=1, max_length=500)]
    input: Text | Annotated[list[Text | PictureIn], Field(min_length=1, max_length=MOST)]
    modality: Literal["text", "image"] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int | None, Field(ge=1, description="Only that of the model.")] = None
    space: Annotated[
        str | None, Field(max_length=100, description="One of the model's spaces.")
    ] = None


class EmbeddingOut(BaseModel):
    """One vector: numbers, or base64 of float32 in little-endian order."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class UsageOut(BaseModel):
    """Tokens read; 0 where the model does not say."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsOut(BaseModel):
    """Vectors of unit length. Those of one ``space`` can be compared with one another."""

    object: Literal["list"]
    data: list[EmbeddingOut]
    model: str
    space: str
    usage: UsageOut


class ModelOut(BaseModel):
    """A model that embeds here."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsOut(BaseModel):
    """The models that embed here."""

    object: Literal["list"]
    data: list[ModelOut]


_SAID: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such model."},
    413: {"description": "A picture has too many bytes or pixels."},
    415: {"description": "A picture is none."},
}


@router.post("/embeddings", response_model=EmbeddingsOut, responses=_SAID)
async def embeddings(request: Request, here: Here, wish: EmbeddingsIn) -> Json:
    """Vectors of texts or pictures, by an encoder that the library is indexed with."""
    given: list[str | PictureIn] = [wish.input] if isinstance(wish.input, str) else [*wish.input]
    library = here.library
    if wish.model not in await to_thread.run_sync(library.embedders):
        detail = f"there is no model {wish.model!r} here; GET /v1/models lists those there are"
        raise Problem(404, "no-such-model", detail)
    things = await _things(here, given, wish.modality)
    found: list[Embedded] = []
    for start in range(0, len(things), AT_ONCE):
        some = things[start : start + AT_ONCE]
        work = partial(library.embed, some, model=wish.model, space=wish.space)
        found.append(await here.gate.run(request, work))
    width = found[0].vectors.shape[1]
    if wish.dimensions not in (None, width):
        raise UsageError(f"`dimensions` can only be {width} for this model, or be left out.")
    return Json(await to_thread.run_sync(_told, found, wish.encoding_format == "base64"))


@router.get("/models")
def models(here: Here) -> ModelsOut:
    """The models that embed here: those the library is indexed with, and the built-in one."""
    return ModelsOut(
        object="list",
        data=[
            ModelOut(id=address, object="model", created=0, owned_by="needlepoint")
            for address in here.library.embedders()
        ],
    )


async def _things(
    here: Shared, given: list[str | PictureIn], modality: str | None
) -> list[str] | list[Pixels]:
    """Texts as they are, or pictures decoded."""
    urls = [one.image if isinstance(one, PictureIn) else one for one in given]
    pictures = sum(isinstance(one, PictureIn) for one in given)
    if pictures and (modality == "text" or (modality is None and pictures < len(given))):
        raise UsageError("`input` holds texts and pictures; send them in two requests")
    if modality != "image" and not pictures:
        return urls
    return await to_thread.run_sync(
        lambda: [here.uploads.read(_bytes(url)).pixels for url in urls], limiter=here.decoding
    )


def _bytes(url: str) -> bytes:
    head, comma, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not comma:
        raise UsageError("a picture is a data URL, data:image/jpeg;base64,…; nothing is fetched")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("a data URL is not in base64") from None


def _told(found: list[Embedded], packed: bool) -> dict[str, Any]:
    rows = np.concatenate([some.vectors for some in found]).astype("<f4", copy=False)
    tokens = sum(some.tokens for some in found)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(row.tobytes()).decode() if packed else row.tolist(),
            }
            for index, row in enumerate(rows)
        ],
        "model": found[0].model,
        "space": found[0].space,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
