"""Each tool as a client of the SDK sees it, over both transports and both ages of the protocol."""

from __future__ import annotations

import base64
import io
import json
import os

import pytest
from mcp_kit import HIDDEN, OPEN, Caller, World, images, jpeg, text
from PIL import Image

from needlepoint import Library

ALL = len(OPEN) + len(HIDDEN)


def by_name(caller: Caller, name: str) -> int:
    """The id of a sample."""
    path = next(p for p in paths(caller) if p.endswith(f"{name}.jpg"))
    return paths(caller)[path]


def paths(caller: Caller) -> dict[str, int]:
    hits = caller.told("search_images", query="thing", k=100, thumbnails="none")["hits"]
    return {hit["path"]: hit["id"] for hit in hits}


def test_tools_are_described_and_read_only(client: Caller) -> None:
    tools = {tool.name: tool for tool in client.do("list_tools").tools}
    wanted = {
        "search_images": {"query", "k", "where", "negative", "cursor", "thumbnails"},
        "similar_images": {"id", "path", "box", "change", "k", "where", "cursor", "thumbnails"},
        "refine": {"session", "said", "more", "less", "undo", "k", "where", "thumbnails"},
        "get_image": {"id", "max_px", "box"},
        "library_info": set(),
    }
    assert {name: set(tool.input_schema["properties"]) for name, tool in tools.items()} == wanted
    assert tools["search_images"].input_schema["required"] == ["query"]
    for tool in tools.values():
        assert tool.annotations.read_only_hint is True
        assert tool.annotations.destructive_hint is False
        assert tool.annotations.open_world_hint is False
        assert tool.title
        assert tool.description
        assert tool.output_schema["type"] == "object"
        for name, schema in tool.input_schema["properties"].items():
            alternatives = (schema, *schema.get("anyOf", ()))
            told = any("description" in one for one in alternatives)
            assert told or name == "box", f"{tool.name}: {name}"


def test_instructions_tell_how_to_ask(client: Caller) -> None:
    told = client.client.instructions
    assert client.client.server_info.name == "needlepoint"
    for word in ("#xywh=", " - people", "`match` false", "probably not", "where", "cursor"):
        assert word in told


def test_search_gives_rows_text_and_thumbnails(client: Caller) -> None:
    result = client.tool("search_images", query="cat", k=5)
    answer = result.structured_content
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5]
    first = answer["hits"][0]
    assert first["path"].endswith("photo-cat.jpg")
    assert first["uri"] == f"needlepoint://item/{first['id']}"
    assert f"1. @{first['id']} {first['path']}" in text(result)
    assert len(images(result)) == 5
    for block in images(result):
        assert max(jpeg(block).size) <= 96
        assert len(base64.b64decode(block.data)) <= 6000


def test_rows_are_those_of_the_library(plain: Caller, world: World) -> None:
    answer = plain.told("search_images", query="cat + desk", k=12, thumbnails="none")
    with Library.open(world.library, read_only=True) as library:
        found = library.search("cat + desk", k=12)
    for row, hit in zip(answer["hits"], found.to_dicts(), strict=True):
        assert row == {**{name: hit[name] for name in row if name != "uri"}, "uri": row["uri"]}
    assert answer["cutoff"] == found.to_dict()["cutoff"]
    assert answer["exact"] is True


def test_thumbnails_show_the_place_or_nothing(plain: Caller) -> None:
    number = by_name(plain, "toys-08")
    query = f"@{number}#xywh=100,100,60,60"
    whole = plain.tool("search_images", query=query, k=1)
    place = plain.tool("search_images", query=query, k=1, thumbnails="place")
    none = plain.tool("search_images", query=query, k=1, thumbnails="none")
    assert whole.structured_content["hits"][0]["box"] is not None
    assert jpeg(images(whole)[0]).size == (96, 72)
    reds = [p for p in jpeg(images(whole)[0]).getdata() if p[0] > 180 and max(p[1:]) < 90]
    assert len(reds) > 10, "the place is outlined"
    assert images(place)[0].data != images(whole)[0].data
    assert images(none) == []
    assert none.structured_content == whole.structured_content


def test_pages_cover_everything_once(client: Caller) -> None:
    asked = {"query": "a thing on a table", "k": 5, "thumbnails": "none"}
    seen: list[int] = []
    ranks: list[int] = []
    cursor = None
    page = 0
    while page < 4:
        page += 1
        answer = client.told("search_images", **asked, **({"cursor": cursor} if cursor else {}))
        seen += [hit["id"] for hit in answer["hits"]]
        ranks += [hit["rank"] for hit in answer["hits"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert (page, len(seen), len(set(seen))) == (3, ALL, ALL)
    assert ranks == list(range(1, ALL + 1))
    whole = client.told("search_images", query=asked["query"], k=ALL, thumbnails="none")
    assert [hit["id"] for hit in whole["hits"]] == seen
    assert whole["next"] is None


def test_a_cursor_belongs_to_its_question(plain: Caller) -> None:
    cursor = plain.told("search_images", query="cat", k=2)["next"]
    assert plain.told("search_images", query="cat", k=3, cursor=cursor)["hits"][0]["rank"] == 3
    for other in ({"query": "dog"}, {"query": "cat", "where": "width > 1"}):
        assert "another question" in plain.refused("search_images", **other, cursor=cursor)
    number = by_name(plain, "photo-cat")
    assert "another question" in plain.refused("similar_images", id=number, cursor=cursor)
    for bad in ("", "x", "WzFd", "!!!!", base64.b64encode(b"[-1,null]").decode(), "W" * 199):
        assert "`cursor`" in plain.refused("search_images", query="cat", cursor=bad)


def test_where_and_negative(client: Caller) -> None:
    answer = client.told("search_images", query="thing", k=100, where="name ~ 'desk'")
    names = sorted(os.path.basename(hit["path"]) for hit in answer["hits"])
    assert names == ["desk-00.jpg", "desk-01.jpg", "desk-02.jpg", "desk-12.jpg"]
    plus = client.told("search_images", query="cat - dog", k=ALL, thumbnails="none")
    apart = client.told("search_images", query="cat", negative="dog", k=ALL, thumbnails="none")
    assert plus["hits"] == apart["hits"]
    alone = client.told("search_images", query="cat", k=ALL, thumbnails="none")
    assert alone["hits"] != apart["hits"]


def test_similar_by_id_path_and_box(client: Caller) -> None:
    number = by_name(client, "desk-00")
    path = next(path for path, one in paths(client).items() if one == number)
    by_id = client.told("similar_images", id=number, k=4)
    assert by_id["hits"] == client.told("similar_images", path=path, k=4)["hits"]
    assert number not in [hit["id"] for hit in by_id["hits"]]
    changed = client.told("similar_images", id=number, change="in red", k=4)
    asked = client.told("search_images", query=f"@{number} -> in red", k=4)
    assert changed["hits"] == asked["hits"] != by_id["hits"]
    assert number not in [hit["id"] for hit in changed["hits"]]
    piece = client.told("similar_images", id=number, box=[100, 100, 80, 80], k=4)
    assert piece["hits"] != by_id["hits"]
    question = f"@{number}#xywh=100,100,80,80"
    same = client.told("search_images", query=question, k=5, where=f"id != {number}")
    assert [hit["id"] for hit in same["hits"]][:4] == [hit["id"] for hit in piece["hits"]]


def test_a_path_in_a_question_is_an_item(plain: Caller, world: World) -> None:
    path = world.open / "desk-00.jpg"
    number = by_name(plain, "desk-00")
    by_path = plain.told("search_images", query=f'img:"{path}"#xywh=10,10,90,90', k=3)
    by_id = plain.told("search_images", query=f"@{number}#xywh=10,10,90,90", k=3)
    assert by_path["hits"] == by_id["hits"]


def test_similar_pages(plain: Caller) -> None:
    number = by_name(plain, "desk-00")
    first = plain.told("similar_images", id=number, k=8, thumbnails="none")
    rest = plain.told("similar_images", id=number, k=8, cursor=first["next"], thumbnails="none")
    ids = [hit["id"] for hit in first["hits"] + rest["hits"]]
    assert sorted([*ids, number]) == sorted(paths(plain).values())
    assert rest["next"] is None


def test_refine_goes_on_and_back(client: Caller) -> None:
    begun = client.told("refine", said="desk", k=6)
    assert (begun["turns"], len(begun["hits"])) == (1, 6)
    liked, disliked = begun["hits"][2]["id"], begun["hits"][0]["id"]
    turn = client.told(
        "refine",
        session=begun["session"],
        more=[liked, {"id": liked, "box": [10, 10, 90, 90]}],
        less=[disliked],
    )
    assert (turn["turns"], turn["session"]) == (2, begun["session"])
    order = [hit["id"] for hit in turn["hits"]]
    assert order.index(liked) == 0
    assert turn["moved"][str(liked)] == 2
    back = client.told("refine", session=begun["session"], undo=True)
    assert (back["turns"], back["hits"]) == (1, begun["hits"])
    start = client.told("refine", session=begun["session"], undo=True)
    assert (start["turns"], start["hits"]) == (0, [])
    assert "take back" in client.refused("refine", session=begun["session"], undo=True)


def test_sessions_are_few(plain: Caller) -> None:
    first = plain.told("refine", said="desk", k=1, thumbnails="none")["session"]
    limit = plain.told("library_info")["limits"]["sessions"]
    for _ in range(limit):
        last = plain.told("refine", said="cat", k=1, thumbnails="none")["session"]
    assert "is not known" in plain.refused("refine", session=first, said="more")
    assert plain.told("refine", session=last, said="dog")["turns"] == 2


def test_get_image_is_bounded(client: Caller) -> None:
    number = by_name(client, "toys-08")
    result = client.tool("get_image", id=number)
    told = result.structured_content
    assert jpeg(images(result)[0]).size == (480, 360), "nothing is enlarged"
    assert (told["width"], told["height"], told["format"]) == (480, 360, "jpeg")
    small = client.tool("get_image", id=number, max_px=100)
    assert jpeg(images(small)[0]).size == (100, 75)
    piece = client.tool("get_image", id=number, box=[100, 50, 40, 30])
    assert jpeg(images(piece)[0]).size == (40, 30)
    edge = client.tool("get_image", id=number, box=[470, 350, 500, 500])
    assert jpeg(images(edge)[0]).size == (10, 10), "a box is cut to the picture"


def test_pictures_are_resources(client: Caller) -> None:
    (template,) = client.do("list_resource_templates").resource_templates
    assert (template.uri_template, template.mime_type) == (
        "needlepoint://item/{number}",
        "image/jpeg",
    )
    hit = client.told("search_images", query="cat", k=1)["hits"][0]
    (content,) = client.do("read_resource", hit["uri"]).contents
    with Image.open(io.BytesIO(base64.b64decode(content.blob))) as image:
        assert (image.format, image.size) == ("JPEG", (480, 360))


def test_library_info(client: Caller, world: World) -> None:
    told = client.told("library_info")
    assert told["pictures"] == ALL
    assert told["folders"] == [str(world.open.parent)]
    assert told["models"][0]["address"] == "builtin"
    assert {"year", "camera", "folder", "keywords"} <= set(told["fields"])
    assert json.loads(text(client.tool("library_info"))) == told


def test_progress_is_told(plain: Caller) -> None:
    seen: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total))

    plain.do("call_tool", "search_images", {"query": "cat", "k": 4}, progress_callback=progress)
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4)]


@pytest.mark.parametrize("noise", [1, 2])
def test_bytes_are_bounded_whatever_the_picture(noise: int) -> None:
    """Noise does not compress: it is what a bound in bytes is for."""
    import numpy as np

    from needlepoint.mcp.pictures import SHOWN_BYTES, THUMB_BYTES, _bounded

    pixels = np.random.default_rng(noise).integers(0, 256, (1600, 1600, 3), np.uint8)
    image = Image.fromarray(pixels)
    jpeg_bytes, size = _bounded(image.copy(), 1568, SHOWN_BYTES)
    assert SHOWN_BYTES / 3 < len(jpeg_bytes) <= SHOWN_BYTES
    assert max(size) <= 1568
    assert len(_bounded(image, 96, THUMB_BYTES)[0]) <= THUMB_BYTES
