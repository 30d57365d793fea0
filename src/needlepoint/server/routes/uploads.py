"""Pictures to ask with: ``/v1/uploads``."""

from __future__ import annotations

import io
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from needlepoint.server.problems import Json
from needlepoint.server.shared import Here
from needlepoint.server.uploads import FIELD, picture_of

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

Name = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="What follows `upload:`.")]
_QUALITY = 82

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {FIELD: {"type": "string", "format": "binary"}},
        "required": [FIELD],
    }
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": _FORM,
        },
    }
}


_SAID: dict[int | str, dict[str, Any]] = {
    408: {"description": "The picture did not arrive in time."},
    413: {"description": "It has too many bytes or pixels."},
    415: {"description": "It is no picture."},
}
_GONE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {"image/jpeg": {}}},
    404: {"description": "It is not kept any more."},
}


class UploadOut(BaseModel):
    """A picture that was sent, and the question that asks with it."""

    id: Annotated[str, Field(description="upload:HASH")]
    width: int
    height: int
    question: str


@router.post("", status_code=201, response_model=UploadOut, responses=_SAID, openapi_extra=_BODY)
async def send(request: Request, here: Here) -> Json:
    """Send a picture to ask with; it is kept in memory for a while, and nowhere else."""
    with here.receiving():
        data = await picture_of(request.headers, request.stream())
        upload = await to_thread.run_sync(here.uploads.add, data, limiter=here.decoding)
    width, height = upload.size
    told = {
        "id": f"upload:{upload.name}",
        "width": width,
        "height": height,
        "question": f'img:"upload:{upload.name}"',
    }
    headers = {"location": f"/v1/uploads/{upload.name}/thumb"}
    return Json(told, 201, headers=headers)


@router.get(
    "/{name}/thumb",
    response_class=Response,
    responses=_GONE,
)
def thumb(here: Here, name: Name, side: Annotated[int, Query(ge=16, le=1024)] = 320) -> Response:
    """A small JPEG of a picture that was sent."""
    from PIL import Image

    image = Image.fromarray(here.uploads.picture(name, False).pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return Response(
        out.getvalue(), media_type="image/jpeg", headers={"cache-control": "private, max-age=600"}
    )
