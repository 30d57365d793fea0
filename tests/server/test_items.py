"""Lists, facts, small pictures, pieces and counts over HTTP."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from server_kit import NAMES, Ask

from needlepoint.library import Library


def image(answer) -> Image.Image:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def refused(answer, status: int, slug: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["type"]) == (status, f"urn:needlepoint:{slug}")
    return str(told["detail"])


@pytest.fixture
def own(
    served_folder: Path, served_pictures: Path, tmp_path: Path, ask: Ask
) -> Iterator[tuple[TestClient, Path]]:
    """A client of a library whose picture files may be changed, and their folder."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("photo-cat", "desk-00"):
        shutil.copy(served_pictures / f"{name}.jpg", pictures)
    folder = tmp_path / "library"
    shutil.copytree(served_folder, folder)
    with Library.open(folder) as library:
        library.index(pictures)
        yield ask(library), pictures


def number(client: TestClient, name: str, folder: Path) -> int:
    where = f"name = {name} and folder = '{folder}'"
    (item,) = client.get("/v1/items", params={"where": where}).json()["items"]
    return int(item["id"])


def test_pages_follow_one_another_to_the_end(client: TestClient) -> None:
    names, cursor = [], None
    while True:
        params = {"order": "name", "limit": "5", **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/items", params=params).json()
        assert page["total"] == len(NAMES)
        names += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == sorted(f"{name}.jpg" for name in NAMES)


def test_a_grid_may_ask_for_the_least(client: TestClient) -> None:
    full = client.get("/v1/items", params={"order": "newest"}).json()["items"]
    brief = client.get("/v1/items", params={"order": "newest", "fields": "brief"}).json()["items"]
    keys = ("id", "width", "height", "taken")
    assert brief == [{key: item[key] for key in keys} for item in full]
    assert {*full[0]} == {*keys, "path", "name", "lat", "lon"}


def test_a_list_may_be_filtered(client: TestClient) -> None:
    page = client.get("/v1/items", params={"where": "name ~ desk"}).json()
    assert [item["name"] for item in page["items"]] == ["desk-00.jpg", "desk-01.jpg"]
    assert "position" in refused(client.get("/v1/items?where=year+>"), 400, "usage")
    assert client.get("/v1/items?where=").json()["total"] == len(NAMES)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=5001", "limit=x", "order=worst", "fields=all", "where=" + "x" * 4001],
)
def test_values_that_cannot_be_are_refused(client: TestClient, query: str) -> None:
    refused(client.get(f"/v1/items?{query}"), 422, "invalid")


def test_facts_of_one_picture(client: TestClient, served: Library) -> None:
    told = client.get("/v1/items/1").json()
    assert told == {**served.picture(1), "name": os.path.basename(served.picture(1)["path"])}
    for path in ("", "/thumb", "/crop"):
        assert "@999" in refused(client.get(f"/v1/items/999{path}"), 404, "no-such-item")
        for bad in ("-1", "x", str(2**63), "9" * 400):
            refused(client.get(f"/v1/items/{bad}{path}"), 422, "invalid")


def test_small_pictures_are_asked_for_once(client: TestClient) -> None:
    first = client.get("/v1/items/1/thumb?side=100")
    assert max(image(first).size) == 100
    assert first.headers["cache-control"] == "private, no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}'):
        again = client.get("/v1/items/1/thumb?side=100", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    other = client.get("/v1/items/1/thumb?side=101", headers={"If-None-Match": tag})
    assert other.status_code == 200


def test_pieces_are_cut_in_pixels_of_the_original(client: TestClient) -> None:
    told = client.get("/v1/items/1").json()
    whole = image(client.get("/v1/items/1/crop?side=4096"))
    assert whole.size == (told["width"], told["height"])
    piece = image(client.get("/v1/items/1/crop?box=100,50,200,100"))
    assert piece.size == (200, 100)
    assert not piece.getexif()
    assert image(client.get("/v1/items/1/thumb?side=64&box=100,50,200,100")).size == (64, 32)


@pytest.mark.parametrize(
    "box",
    [
        *("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,5,5", "0,0,inf,5", "0,0,0,5", "0,0,5,-5"),
        *("99999,0,5,5", "-50,0,50,5", "1e400,0,1,1", "0,0,1e-300,1"),
    ],
)
def test_boxes_that_hold_nothing_are_refused_with_a_reason(client: TestClient, box: str) -> None:
    for path in ("thumb", "crop"):
        assert "`box`" in refused(
            client.get(f"/v1/items/1/{path}", params={"box": box}), 422, "box"
        )


@pytest.mark.parametrize("query", ["side=15", "side=1025", "side=big", "box=" + "1" * 300])
def test_sizes_that_cannot_be_are_refused(client: TestClient, query: str) -> None:
    refused(client.get(f"/v1/items/1/thumb?{query}"), 422, "invalid")


def test_files_that_are_gone_changed_or_led_outside_are_told_apart(own, tmp_path: Path) -> None:
    client, folder = own
    cat, desk = (number(client, name, folder) for name in ("photo-cat.jpg", "desk-00.jpg"))
    before = client.get(f"/v1/items/{cat}/thumb?side=64")
    Image.new("RGB", (300, 200), "red").save(folder / "photo-cat.jpg")
    after = client.get(
        f"/v1/items/{cat}/thumb?side=64", headers={"If-None-Match": before.headers["etag"]}
    )
    assert image(after).getpixel((5, 5))[0] > 200
    (folder / "photo-cat.jpg").write_bytes(b"<svg/>")
    assert "not a picture" in refused(
        client.get(f"/v1/items/{cat}/thumb"), 422, "unreadable-picture"
    )
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (300, 200), "blue").save(secret)
    (folder / "photo-cat.jpg").unlink()
    os.symlink(secret, folder / "photo-cat.jpg")
    for path in ("thumb", "crop"):
        said = refused(client.get(f"/v1/items/{cat}/{path}"), 403, "picture-outside")
        assert "secret" not in said
    (folder / "desk-00.jpg").unlink()
    for path in ("thumb", "crop?box=0,0,5,5"):
        assert "gone" in refused(client.get(f"/v1/items/{desk}/{path}"), 410, "picture-gone")
    assert client.get(f"/v1/items/{desk}").json()["state"] == "present"  # as last indexed


def test_facets_come_with_the_filters_that_select_them(client: TestClient) -> None:
    told = client.get("/v1/facets").json()
    assert told["total"] == len(NAMES)
    assert told["folders"][0]["value"] == "pictures"
    for value in (*told["years"], *told["cameras"], told["places"]):
        found = client.get("/v1/items", params={"where": value["where"], "limit": "1"}).json()
        assert found["total"] == value["count"]
    assert client.get("/v1/facets", params={"where": "name ~ desk"}).json()["total"] == 2
    refused(client.get("/v1/facets?where=colour+=+red"), 400, "usage")


def test_heat_lies_where_the_question_is_answered(client: TestClient) -> None:
    told = client.get("/v1/items/1").json()
    box = f"{told['width'] // 2},0,{told['width'] // 4},{told['height'] // 4}"
    found = client.get("/v1/items/1/heat", params={"q": f"@1#xywh={box}"}).json()
    values = [value for row in found["values"] for value in row]
    assert (len(found["values"]), len(found["values"][0])) == (found["rows"], found["columns"])
    assert max(found["rows"], found["columns"]) <= 128
    assert (min(values), max(values)) == (0, 1)
    x, y, w, h = found["box"]
    assert told["width"] * 0.4 < x + w / 2 < told["width"] * 0.85
    assert y + h / 2 < told["height"] * 0.5
    assert -1 <= found["score"] <= 1


def test_heat_answers_words_at_least_as_well_as_the_places_kept(client: TestClient) -> None:
    hit = client.get("/v1/search", params={"q": "cat", "limit": 1}).json()["hits"][0]
    found = client.get(f"/v1/items/{hit['id']}/heat", params={"q": "cat"}).json()
    assert found["score"] > hit["score"] - 0.05  # kept places are some of all windows, in 4 bits
    assert found["box"][2] > 0


def test_heat_wants_one_part(client: TestClient) -> None:
    for q in ("a cat + a dog", "@1 @2", ""):
        refused(client.get("/v1/items/1/heat", params={"q": q}), 400, "usage")
    refused(client.get("/v1/items/999/heat", params={"q": "@1"}), 404, "no-such-item")
    refused(client.get("/v1/items/1/heat"), 422, "invalid")
    refused(client.get("/v1/items/1/heat", params={"q": 'img:"/etc/passwd"'}), 400, "usage")
