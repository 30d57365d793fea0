"""Pictures of the library: facts, small pictures, pieces."""

from __future__ import annotations

import io
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from needlepoint.server.shared import Here

router = APIRouter(prefix="/v1/items", tags=["items"])

Id = Annotated[int, Path(ge=0, le=2**62, description="Id of a picture.")]


@router.get("/{number}")
def item(here: Here, number: Id) -> dict[str, Any]:
    """What is known of a picture."""
    return here.library.picture(number)


@router.get("/{number}/thumb", response_class=Response)
def thumb(here: Here, number: Id, side: Annotated[int, Query(ge=16, le=1024)] = 320) -> Response:
    """A small JPEG of the picture."""
    from PIL import Image

    from needlepoint.intake.decode import decode

    picture = decode(here.library.picture(number)["path"], at_least=side)
    image = Image.fromarray(picture.pixels)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82)
    return Response(out.getvalue(), media_type="image/jpeg")
