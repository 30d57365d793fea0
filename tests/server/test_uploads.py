"""Pictures sent to ask with: taken, bounded, never kept on disk, never given back as sent."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from server_kit import Ask

from needlepoint.server.uploads import DECODED


@pytest.fixture(scope="session")
def cat(served_pictures: Path) -> bytes:
    return (served_pictures / "photo-cat.jpg").read_bytes()


def problem(answer: object) -> tuple[int, str]:
    told = answer.json()  # type: ignore[attr-defined]
    return told["status"], told["type"].removeprefix("urn:needlepoint:")


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "application/octet-stream", None])
def test_a_picture_is_taken_and_asks(client: TestClient, cat: bytes, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = client.post("/v1/uploads", content=cat, headers=headers)
    assert answer.status_code == 201
    told = answer.json()
    assert (told["width"], told["height"]) == Image.open(io.BytesIO(cat)).size
    hits = client.get("/v1/search", params={"q": told["question"]}).json()["hits"]
    assert hits[0]["name"] == "photo-cat.jpg"
    piece = client.get("/v1/search", params={"q": told["question"] + "#xywh=20,20,200,200"})
    assert piece.json()["hits"][0]["name"] == "photo-cat.jpg"


def test_a_form_is_taken(client: TestClient, cat: bytes) -> None:
    straight = client.post("/v1/uploads", content=cat).json()
    form = client.post("/v1/uploads", files={"picture": ("../x.jpg", cat, "text/html")})
    assert (form.status_code, form.json()) == (201, straight)


def test_a_sent_picture_asks_as_its_file_does(
    client: TestClient, cat: bytes, served: object, served_pictures: Path
) -> None:
    question = client.post("/v1/uploads", content=cat).json()["question"]
    sent = client.get("/v1/search", params={"q": question}).json()["hits"]
    named = served.search(str(served_pictures / "photo-cat.jpg"), k=12)  # type: ignore[attr-defined]
    assert [(h["id"], h["score"]) for h in sent] == [(h.id, round(h.score, 6)) for h in named]


def test_the_thumb_is_made_anew(client: TestClient, cat: bytes) -> None:
    name = client.post("/v1/uploads", content=cat).json()["id"].removeprefix("upload:")
    answer = client.get(f"/v1/uploads/{name}/thumb", params={"side": 64})
    assert answer.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(answer.content)).size) == 64
    full = client.get(f"/v1/uploads/{name}/thumb", params={"side": 1024}).content
    assert full != cat


def shade(number: int) -> bytes:
    """A small grey PNG."""
    out = io.BytesIO()
    Image.new("L", (40, 30), number).save(out, "PNG")
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of 30000 x 30000 pixels in some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (SVG, (415, "not-a-picture")),
        (b"<!doctype html><script>alert(1)</script>", (415, "not-a-picture")),
        (b"GIF89a<script>alert(1)</script>", (422, "unreadable-picture")),
        (b"PK\x03\x04zip", (415, "not-a-picture")),
        (b"%PDF-1.7", (415, "not-a-picture")),
        (b"\x00" * 100, (415, "not-a-picture")),
        (b"\xff\xd8\xff", (422, "unreadable-picture")),
        (b"\x89PNG\r\n\x1a\n", (422, "unreadable-picture")),
        (b"", (400, "no-picture")),
        (bomb(), (413, "too-large")),
    ],
)
def test_what_is_no_picture_is_refused(
    client: TestClient, body: bytes, told: tuple[int, str]
) -> None:
    answer = client.post("/v1/uploads", content=body, headers={"content-type": "image/jpeg"})
    assert problem(answer) == told


def test_a_truncated_picture_is_refused(client: TestClient, cat: bytes) -> None:
    answer = client.post("/v1/uploads", content=cat[: len(cat) // 2])
    assert problem(answer) == (422, "unreadable-picture")


def test_limits_are_the_server_s(ask: Ask, cat: bytes) -> None:
    assert problem(ask(upload_bytes=1000).post("/v1/uploads", content=cat)) == (413, "too-large")
    small = io.BytesIO()
    Image.new("RGB", (300, 300)).save(small, "PNG")
    answer = ask(upload_pixels=10_000).post("/v1/uploads", content=small.getvalue())
    assert problem(answer) == (413, "too-large")


@pytest.mark.parametrize("kind", ["text/html", "application/json", "image", "video/mp4"])
def test_other_kinds_of_bodies_are_refused(client: TestClient, cat: bytes, kind: str) -> None:
    answer = client.post("/v1/uploads", content=cat, headers={"content-type": kind})
    assert problem(answer) == (415, "not-a-picture")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b""),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="picture"\r\n\r\nwords\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\n'
            b"w\r\n--x--\r\n",
        ),
    ],
)
def test_odd_forms_are_refused(client: TestClient, kind: str, body: bytes) -> None:
    answer = client.post("/v1/uploads", content=body, headers={"content-type": kind})
    assert answer.status_code == 400


def test_the_oldest_goes_first(ask: Ask) -> None:
    client = ask(uploads_kept=2)
    names = [client.post("/v1/uploads", content=shade(n)).json() for n in (10, 20, 30)]
    gone = client.get("/v1/search", params={"q": names[0]["question"]})
    assert problem(gone) == (404, "upload-gone")
    thumb = f"/v1/uploads/{names[0]['id'].removeprefix('upload:')}/thumb"
    assert problem(client.get(thumb)) == (404, "upload-gone")
    assert client.get("/v1/search", params={"q": names[2]["question"]}).status_code == 200


def test_bytes_are_bounded_together(ask: Ask) -> None:
    most = 3 * len(shade(1))
    client = ask(uploads_bytes=most)
    uploads = client.app.state.shared.uploads  # type: ignore[attr-defined]
    for number in range(1, 9):
        assert client.post("/v1/uploads", content=shade(number)).status_code == 201
        assert uploads.bytes <= most
    assert 2 <= len(uploads) <= 3


def test_uploads_ask_on_when_others_were_decoded_since(client: TestClient) -> None:
    sent = [client.post("/v1/uploads", content=shade(n)).json() for n in range(DECODED + 2)]
    for one in sent:
        assert client.get("/v1/search", params={"q": one["question"]}).status_code == 200


def test_nothing_is_written(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    true = os.open

    def noted(path: str, flags: int, *rest: object, **more: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            opened.append(str(path))
        return true(path, flags, *rest, **more)  # type: ignore[arg-type]

    out = io.BytesIO()
    Image.effect_noise((1500, 1500), 90).convert("RGB").save(out, "PNG")
    assert len(out.getvalue()) > 4 << 20, "larger than what forms usually keep in memory"
    monkeypatch.setattr(os, "open", noted)
    answer = client.post("/v1/uploads", files={"picture": ("a.png", out.getvalue())})
    assert answer.status_code == 201
    assert opened == []
