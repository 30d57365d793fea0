"""A store seen from inside some folders: nothing of it tells of pictures outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from needlepoint import Library
from needlepoint.errors import LibraryError, UsageError
from needlepoint.store.fence import FencedStore
from needlepoint.store.sqlite import SqliteStore

VISIBLE = {"columns", "count", "page", "places", "wholes"}
"""Ask for what is ``_visible``, which a fence limits."""
NOTHING_OF_PICTURES = {
    *("attend", "check", "close", "generation", "generation_of", "get_meta", "open", "release"),
    *("search", "spaces"),  # search asks search_many
}
FOR_INDEXING = {"files", "digests", "vectors_by_digest"}
WRITES = {
    *("add_root", "begin_job", "delete", "ensure_space", "finish_job", "forget_skipped", "gc"),
    *("mark_missing", "mark_present", "move", "optimize", "put_blob", "set_meta"),
    *("set_root_online", "skip", "snapshot", "upsert", "writing"),
}


def picture(path: Path | bytes, shade: int) -> None:
    with open(path, "wb") as file:
        Image.new("RGB", (40, 30), (shade, 255 - shade, shade // 2)).save(file, "PNG")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fence")
    for shade, name in enumerate(
        ("a/1.png", "a/2.png", "a/b/3.png", "ab/4.png", "A/5.png", "6.png")
    ):
        (made / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(made / "in" / name, 40 * shade)
    for shade, name in enumerate((b"x\xff", b"x\xfe")):
        folder = os.fsencode(made / "in") + b"/" + name
        os.mkdir(folder)
        picture(folder + b"/7.png", 17 * shade)
    return made


@pytest.fixture(scope="module")
def library(base: Path) -> Iterator[Library]:
    with Library.open(base / "library", create=True) as made:
        made.index(base / "in")
        yield made


def inside(view: Library) -> list[str]:
    return sorted(item.path.rpartition("/in/")[2] for item in view.shelf.page(limit=100).items)


def test_every_method_is_thought_of() -> None:
    public = {
        name
        for kind in SqliteStore.__mro__
        for name, value in vars(kind).items()
        if not name.startswith("_") and (callable(value) or isinstance(value, classmethod))
    }
    own = {name for name in vars(FencedStore) if not name.startswith("_")}
    assert public - own == VISIBLE | NOTHING_OF_PICTURES | FOR_INDEXING | WRITES


@pytest.mark.parametrize(
    ("folders", "seen"),
    [
        (["a"], ["a/1.png", "a/2.png", "a/b/3.png"]),
        (["a/b"], ["a/b/3.png"]),
        (["a/b", "ab"], ["a/b/3.png", "ab/4.png"]),
        (["A"], ["A/5.png"]),
        (["6.png"], ["6.png"]),
        (["a/"], ["a/1.png", "a/2.png", "a/b/3.png"]),
        (["a/../ab"], ["ab/4.png"]),
        (["a/1"], []),
        (["x"], []),
        (["nowhere"], []),
        ([], []),
    ],
)
def test_folders(library: Library, base: Path, folders: list[str], seen: list[str]) -> None:
    view = library.within([f"{base}/in/{folder}" for folder in folders])
    assert inside(view) == seen
    ids = {item.id for item in view.shelf.page(limit=100).items}
    assert {hit.id for hit in view.search("x", k=100)} == ids
    assert {hit.id for hit in view.search("x", k=100, where="width > 0 or width < 0")} == ids
    assert view.info()["pictures"] == len(ids)


def test_names_that_are_not_text_are_told_apart(library: Library, base: Path) -> None:
    view = library.within([os.fsdecode(os.fsencode(base / "in") + b"/x\xff")])
    (item,) = view.shelf.page(limit=9).items
    assert os.fsencode(view.picture(item.id)["path"]).endswith(b"/x\xff/7.png")


def test_everything_from_above_and_by_a_link(library: Library, base: Path, tmp_path: Path) -> None:
    every = inside(library)
    assert inside(library.within([base])) == inside(library.within(["/"])) == every
    (tmp_path / "link").symlink_to(base / "in" / "a")
    assert inside(library.within([tmp_path / "link"])) == ["a/1.png", "a/2.png", "a/b/3.png"]


def test_a_fence_in_a_fence_only_narrows(library: Library, base: Path) -> None:
    view = library.within([base / "in" / "a"])
    assert inside(view.within([base])) == inside(view)
    assert inside(view.within([base / "in" / "a" / "b"])) == ["a/b/3.png"]
    assert inside(view.within([base / "in" / "ab"])) == []


def test_what_is_outside_is_not_there(library: Library, base: Path) -> None:
    view = library.within([base / "in" / "a"])
    outside = library.at(base / "in" / "6.png")
    assert outside is not None
    assert view.at(base / "in" / "6.png") is None
    store = view._store
    space = store.spaces()[0]
    assert store.facts([outside]) == store.states([outside]) == {}
    assert store.fetch_vectors([outside], space.id) == {}
    assert outside not in store.described(space.id)
    assert outside not in store.wholes(space)[0]
    assert outside not in {number for number, _, _ in store.scan()}
    assert store.get_blob(outside, "map:look") is None
    assert store.skipped() == []
    for ask in (
        lambda: view.picture(outside),
        lambda: view.similar(outside),
        lambda: view.search(f"@{outside}"),
        lambda: view.search(f"6 - @{outside}#xywh=1,1,9,9"),
        lambda: view.heat(1, f"@{outside}"),
    ):
        with pytest.raises(UsageError, match="is not a picture of this library"):
            ask()


def test_nothing_is_written_through_a_fence(library: Library, base: Path) -> None:
    with pytest.raises(LibraryError, match="reading only"):
        library.within([base])._store.set_meta("x", "y")
