"""Pictures that were sent to ask with: kept in memory, as sent, and never given back as sent."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from needlepoint.errors import PictureError
from needlepoint.intake.container import NOT_A_PICTURE
from needlepoint.intake.decode import Limits, decode
from needlepoint.picture import Picture
from needlepoint.regions.question import QUESTION_SIDE
from needlepoint.server.problems import Problem
from needlepoint.server.settings import Serving

LONGEST = 30_000
"""Pixels on a side of what may be sent; more is claimed at no cost, and read at much."""
DECODED = 4
"""Uploads that are kept decoded."""
FIELD = "picture"
"""Name of the part of a form that holds the picture."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that was sent: its bytes, and its width and height when upright."""

    name: str
    data: bytes
    size: tuple[int, int]


class Uploads:
    """The uploads of one server; the oldest go when there are too many, or too many bytes."""

    def __init__(self, serving: Serving) -> None:
        self.limits = Limits(
            max_pixels=serving.upload_pixels,
            max_bytes=serving.upload_bytes,
            max_seconds=serving.upload_seconds,
            max_side=LONGEST,
        )
        self._most, self._most_bytes = serving.uploads_kept, serving.uploads_bytes
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._decoded: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, data: bytes) -> Upload:
        """Keep a picture; the same bytes again are the same upload.

        Raises:
            Problem: 415 for what is no picture, 413 for one that is too large, 422 for one that
                cannot be read.
        """
        name = hashlib.blake2b(data, digest_size=16).hexdigest()
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        picture = self.read(data)
        self._remember(name, picture)
        upload = Upload(name, data, picture.size)
        with self._lock:
            if name not in self._kept:
                self._kept[name] = upload
                self.bytes += len(data)
            while len(self._kept) > 1 and (
                len(self._kept) > self._most or self.bytes > self._most_bytes
            ):
                self.bytes -= len(self._kept.popitem(last=False)[1].data)
        return upload

    def get(self, name: str) -> Upload:
        """A kept upload.

        Raises:
            Problem: 404, it never was here or has gone.
        """
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        detail = f"upload:{name} is not kept here any more; send the picture again"
        raise Problem(404, "upload-gone", detail)

    def picture(self, name: str, whole: bool) -> Picture:
        """The decoded picture; at its full size when ``whole``."""
        upload = self.get(name)
        if whole:
            return self.read(upload.data, at_least=0)
        picture = self._decoded.get(name) or self.read(upload.data)
        self._remember(name, picture)
        return picture

    def _remember(self, name: str, picture: Picture) -> None:
        """Keep the pictures decoded last: what was sent is asked with and shown at once."""
        with self._lock:
            self._decoded[name] = picture
            self._decoded.move_to_end(name)
            while len(self._decoded) > DECODED:
                self._decoded.popitem(last=False)

    def read(self, data: bytes, *, at_least: int = QUESTION_SIDE) -> Picture:
        """A picture that was sent, decoded within this server's limits.

        Raises:
            Problem: as :meth:`add`.
        """
        try:
            return decode(data, at_least=at_least, limits=self.limits)
        except PictureError as error:
            status, slug = 422, "unreadable-picture"
            if error.reason == NOT_A_PICTURE:
                status, slug = 415, "not-a-picture"
            elif error.reason.startswith(("too many", "side of", "would take")):
                status, slug = 413, "too-large"
            raise Problem(status, slug, f"the picture sent: {error.reason}") from None


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # nothing that is sent is written to disk


async def picture_of(headers: Headers, stream: AsyncIterator[bytes]) -> bytes:
    """The bytes of the picture in a request: its body, or the part ``picture`` of a form.

    Raises:
        Problem: 400 for a form without it or that cannot be read, 415 for another kind of body.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(headers, stream)
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        detail = (
            f"a picture is sent as image/…, application/octet-stream or multipart/form-data. "
            f"Received: {kind[:100]}"
        )
        raise Problem(415, "not-a-picture", detail)
    body = io.BytesIO()
    async for chunk in stream:
        body.write(chunk)
    if not body.tell():
        raise Problem(400, "no-picture", "the request has no body; send the picture's bytes")
    return body.getvalue()


async def _from_form(headers: Headers, stream: AsyncIterator[bytes]) -> bytes:
    async def steady() -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk

    try:
        form = await _InMemory(headers, steady(), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Problem(400, "bad-form", f"the form cannot be read: {error}") from None
    found = form.get(FIELD)
    if not isinstance(found, UploadFile):
        detail = f"the form has no picture: send the file in its part {FIELD!r}"
        raise Problem(400, "no-picture", detail)
    return await found.read()
