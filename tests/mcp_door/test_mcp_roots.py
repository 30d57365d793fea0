"""A client that names folders sees what lies below them, and not a word of anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError
from mcp_kit import HIDDEN, OPEN, Caller, World, connected, text

from needlepoint import Library


@pytest.fixture(scope="session")
def hidden(world: World) -> dict[str, int]:
    """Ids of the hidden pictures by path."""
    with Library.open(world.library, read_only=True) as library:
        return {str(path): library.at(path) for path in world.hidden.iterdir()}


def test_only_what_lies_below_is_found(rooted: Caller, world: World, hidden: dict) -> None:
    answers = [
        rooted.tool("search_images", query="dogs and rockets", k=100),
        rooted.tool("search_images", query="desk", k=100, where="name ~ '*'"),
        # a filter cannot be closed before its time
        rooted.tool("search_images", query="desk", k=100, where="width > 1 or width > 0"),
        rooted.tool("similar_images", path=str(world.open / "desk-00.jpg"), k=100),
        rooted.tool("refine", said="desk", k=100),
        rooted.tool("library_info"),
    ]
    for answer in answers:
        told = json.dumps(answer.structured_content) + text(answer)
        assert "hidden" not in told
        for hit in answer.structured_content.get("hits", ()):
            assert hit["id"] not in hidden.values()
    assert [len(a.structured_content["hits"]) for a in answers[:5]] == [7, 7, 7, 6, 7]
    assert answers[5].structured_content["pictures"] == len(OPEN)
    assert answers[5].structured_content["models"][0]["pictures"] == len(OPEN)
    assert "position" in rooted.refused("search_images", query="desk", where="width > 1) or (1 > 0")


def test_what_lies_elsewhere_is_as_if_it_were_not(
    rooted: Caller, world: World, hidden: dict
) -> None:
    path, number = next(iter(hidden.items()))
    nowhere = 10**6
    for name, asked in (
        ("get_image", {"id": number}),
        ("similar_images", {"id": number}),
        ("similar_images", {"id": number, "box": [1, 1, 50, 50]}),
        ("similar_images", {"path": path}),
        ("search_images", {"query": f"@{number}"}),
        ("search_images", {"query": "desk", "negative": f"@{number}#xywh=1,1,50,50"}),
        ("search_images", {"query": f'desk - img:"{path}"'}),
        ("refine", {"more": [number]}),
        ("refine", {"said": "desk", "less": [{"id": number, "box": [1, 1, 50, 50]}]}),
    ):
        absent = json.loads(
            json.dumps(asked).replace(path, "/nowhere.jpg").replace(str(number), str(nowhere))
        )
        said = rooted.refused(name, **asked)
        assert said.replace(path, "/nowhere.jpg").replace(f"@{number}", f"@{nowhere}") == (
            rooted.refused(name, **absent)
        ), "the same words for what is hidden and what is not there"
    for item in (number, nowhere):
        with pytest.raises(MCPError, match="is not a picture of this library"):
            rooted.do("read_resource", f"needlepoint://item/{item}")
    visible = rooted.told("search_images", query="cat", k=1)["hits"][0]
    assert rooted.do("read_resource", visible["uri"]).contents[0].mime_type == "image/jpeg"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_folders_may_change(world: World, url: str, mode: str) -> None:
    with connected(url, mode, [world.hidden]) as caller:

        def names() -> set[str]:
            hits = caller.told("search_images", query="thing", k=100, thumbnails="none")["hits"]
            return {Path(hit["path"]).stem for hit in hits}

        assert names() == set(HIDDEN)
        session = caller.told("refine", said="desk")["session"]
        cursor = caller.told("search_images", query="desk", k=2)["next"]
        caller.roots[:] = [world.open]
        assert names() == set(OPEN)
        assert "roots" in caller.refused("refine", session=session, said="cat")
        paged = caller.told("search_images", query="desk", k=20, cursor=cursor)
        assert {Path(hit["path"]).stem for hit in paged["hits"]} <= set(OPEN)
        caller.roots[:] = [world.hidden, world.open]
        assert names() == {*OPEN, *HIDDEN}
        caller.roots[:] = [world.open / "photo-cat.jpg"]
        assert names() == {"photo-cat"}
        caller.roots[:] = [world.open.parent.parent]
        assert names() == {*OPEN, *HIDDEN}
        for nothing in ([], [world.library], [Path(f"{world.open}2")], ["file:///nowhere/at/all"]):
            caller.roots[:] = nothing
            for name, asked in (
                ("search_images", {"query": "cat"}),
                ("library_info", {}),
                ("get_image", {"id": 1}),
            ):
                assert "--no-roots" in caller.refused(name, **asked)
        for bad in ("file://elsewhere/pictures", "file:///%00", "file:relative"):
            caller.roots[:] = [bad]
            assert "roots" in caller.refused("library_info")
        caller.roots[:] = [world.open] * 101
        assert "100 roots" in caller.refused("library_info")


def test_a_link_to_a_folder_is_that_folder(world: World, url: str, tmp_path: Path) -> None:
    link = tmp_path / "my pictures é"
    link.symlink_to(world.open)
    with connected(url, roots=[link]) as caller:
        assert caller.told("library_info")["pictures"] == len(OPEN)
