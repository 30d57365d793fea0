"""What folds under what, and as what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_kit import SAMPLES, flat
from PIL import Image, ImageEnhance

from needlepoint.library import Library
from needlepoint.library.folding import NEAR, SAME, Duplicate, near_duplicates
from needlepoint.picture import Facts
from needlepoint.store.base import Entry, FileRecord, Space, VectorRow
from needlepoint.store.sqlite import SqliteStore

CARD = {"answers": ["image"]}
NOTHING = np.empty((0, 3), np.float32), np.empty((0, 4), np.float32)


def turned(*degrees: float) -> np.ndarray:
    """Unit vectors at angles on a plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1).astype(np.float32)


def filled(
    folder: Path,
    degrees: list[float],
    *,
    encoder: str = "builtin",
    sizes: dict[int, tuple[int, int]] | None = None,
    digests: dict[int, bytes] | None = None,
) -> SqliteStore:
    store = SqliteStore.open(folder, create=True)
    space = store.ensure_space(Space("look", encoder, "f" * 16, 3, "f16", "none", CARD))
    root = store.add_root("/p")
    for i, vector in enumerate(turned(*degrees), 1):
        file = FileRecord(root, f"{i}.jpg", 1, i, (digests or {}).get(i, b"%d" % i))
        facts = Facts(*(sizes or {}).get(i, (400, 300)), "jpeg")
        store.upsert([Entry(file, facts, (VectorRow(space.id, vector, *NOTHING),))])
    return store


def angle(cosine: float) -> float:
    return float(np.degrees(np.arccos(cosine)))


def test_the_first_ranked_leads_and_kinds_are_told_apart(tmp_path: Path) -> None:
    same, near = angle(SAME) - 0.5, angle(NEAR) - 0.5
    with filled(tmp_path / "lib", [0, near, 90, same, 90 + same, 180]) as store:
        assert near_duplicates(store, [1, 2, 3, 4, 5, 6]) == {
            1: [Duplicate(2, "near"), Duplicate(4, "same")],
            3: [Duplicate(5, "same")],
        }
        groups = near_duplicates(store, [5, 4, 3, 2, 1])
        assert [(head, [one.id for one in under]) for head, under in groups.items()] == [
            (5, [3]), (4, [2, 1]),
        ]  # fmt: skip


def test_a_long_series_does_not_join_what_is_not_alike(tmp_path: Path) -> None:
    step = angle(NEAR) * 0.9
    with filled(tmp_path / "lib", [step * i for i in range(6)]) as store:
        groups = near_duplicates(store, [1, 2, 3, 4, 5, 6])
        assert {head: [one.id for one in under] for head, under in groups.items()} == {
            1: [2], 3: [4], 5: [6],
        }  # fmt: skip


def test_the_same_at_another_shape_is_only_near(tmp_path: Path) -> None:
    sizes = {2: (200, 150), 3: (400, 280)}
    with filled(tmp_path / "lib", [0, 0, 0], sizes=sizes) as store:
        assert near_duplicates(store, [1, 2, 3]) == {
            1: [Duplicate(2, "same"), Duplicate(3, "near")]
        }


@pytest.mark.parametrize("encoder", ["builtin", "open_clip:X/y"])
def test_equal_content_is_the_same_whatever_the_vectors_say(tmp_path: Path, encoder: str) -> None:
    digests = {1: b"a", 3: b"a", 2: b"", 4: b""}
    with filled(tmp_path / "lib", [0, 90, 180, 270], encoder=encoder, digests=digests) as store:
        assert near_duplicates(store, [3, 2, 1, 4]) == {3: [Duplicate(1, "same")]}


def test_limits_of_one_encoder_are_not_used_for_another(tmp_path: Path) -> None:
    with filled(tmp_path / "lib", [0, 0.1], encoder="open_clip:X/y") as store:
        assert near_duplicates(store, [1, 2]) == {}


def test_ids_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    with filled(tmp_path / "lib", [0, 0]) as store:
        assert near_duplicates(store, [9, 2, 8, 1]) == {2: [Duplicate(1, "same")]}
        assert near_duplicates(store, []) == {}


@given(st.lists(st.floats(0, 360), min_size=1, max_size=12), st.randoms())
@settings(max_examples=30, deadline=None)
def test_everything_is_shown_once_and_leaders_are_unlike(
    tmp_path_factory: pytest.TempPathFactory, degrees: list[float], random
) -> None:
    with filled(tmp_path_factory.mktemp("lib"), degrees) as store:
        ids = list(range(1, len(degrees) + 1))
        random.shuffle(ids)
        groups = near_duplicates(store, ids)
        under = [one.id for some in groups.values() for one in some]
        assert len(set(under)) == len(under)
        assert not set(under) & set(groups)
        leaders = [number for number in ids if number not in under]
        vectors = turned(*degrees)
        for place, one in enumerate(leaders):
            for other in leaders[:place]:
                assert float(vectors[one - 1] @ vectors[other - 1]) < NEAR + 1e-3
        for head, some in groups.items():
            for one in some:
                assert ids.index(head) < ids.index(one.id)
                assert float(vectors[head - 1] @ vectors[one.id - 1]) > NEAR - 1e-3


def test_real_copies_fold_and_different_pictures_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for name in ("photo-cat", "desk-00", "desk-01"):
        with Image.open(SAMPLES / "pictures" / f"{name}.jpg") as opened:
            image = opened.convert("RGB")
        wide, high = image.size
        image.save(folder / f"{name}.a.jpg", quality=95)
        image.resize((wide // 2, high // 2)).save(folder / f"{name}.half.jpg", quality=90)
        cut = image.crop((wide // 33, high // 33, wide - wide // 33, high - high // 33))
        ImageEnhance.Brightness(cut).enhance(1.05).save(folder / f"{name}.cut.jpg", quality=90)
    flat(folder / "other.png", 1, (400, 300))
    with Library.open(tmp_path / "library", create=True) as library:
        library.index(folder)
        names = {one.id: one.name for one in library.shelf.page(order="name").items}
        groups = near_duplicates(library._store, sorted(names, key=names.__getitem__))
        found = {
            names[head]: {names[one.id]: one.kind for one in under}
            for head, under in groups.items()
        }
        for name in ("photo-cat", "desk-00", "desk-01"):
            kinds = found.pop(f"{name}.a.jpg")
            assert kinds.pop(f"{name}.cut.jpg") == "near"
            assert set(kinds) == {f"{name}.half.jpg"}
        assert found == {}
        ids = list(names)
        assert library.shelf.fold(ids) == {
            head: [one.id for one in under]
            for head, under in near_duplicates(library._store, ids).items()
        }
