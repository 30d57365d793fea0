"""Names, splits, materials, OBJ repair, views and pasting."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.bench.needle_kit import CUBE, make_assets, make_catalogue, make_stamp, nouns

from needlepoint.bench.needle import assets as found
from needlepoint.bench.needle.families import (
    SPLITS,
    clean_name,
    deal,
    families,
    head_noun,
    split_of,
)
from needlepoint.bench.needle.paste import Look, backdrop, compose, vary
from needlepoint.bench.needle.tidy import tidy
from needlepoint.bench.needle.truth import View
from needlepoint.bench.needle.views import (
    MIN_ANGLE,
    ViewCache,
    angle_between,
    direction,
    plan_shots,
)
from needlepoint.errors import UsageError


@pytest.mark.parametrize(
    ("caption", "name"),
    [
        ("A frog.", "frog"),
        ("An albino peahen (a female peafowl, or peacock).", "albino peahen"),
        ("A pair of pliers.", "pliers"),
        ("Chair with cushion", "chair"),
        ("Concept Sedan 01", "concept sedan"),
        ("!", "!"),
    ],
)
def test_names_are_cleaned(caption, name):
    assert clean_name(caption) == name


def test_look_alikes_are_one_family():
    labels = families(
        ["frog", "tree frog", "cep", "red headed mushroom", "axe"],
        ["frog", "frog-1", "cep-1", "cep-2", "axe"],
    )
    assert labels[0] == labels[1]
    assert labels[2] == labels[3]
    assert len(set(labels)) == 3


@given(st.lists(st.sampled_from(["axe", "old axe", "pan", "tin pan", "cup"]), min_size=1))
def test_a_shared_noun_means_a_shared_family_and_split(names):
    labels = families(names, [f"file{number}x" for number in range(len(names))])
    for name, label in zip(names, labels, strict=True):
        for other, another in zip(names, labels, strict=True):
            if head_noun(name) == head_noun(other):
                assert label == another
                assert split_of(label) == split_of(another)


def test_splits_never_move():
    assert {noun: split_of(noun) for noun in ("chair", "table", "frog", "lamp")} == {
        "chair": "test",
        "table": "dev",
        "frog": "dev",
        "lamp": "dev",
    }


def test_splits_have_about_their_shares():
    splits = [split_of(f"thing{number}") for number in range(3000)]
    assert splits.count("dev") / 3000 == pytest.approx(0.35, abs=0.04)
    assert splits.count("fit") / 3000 == pytest.approx(0.30, abs=0.04)


@given(st.lists(st.text(min_size=1), unique=True, max_size=30))
def test_dealing_is_even_and_ignores_order(labels):
    dealt = deal(labels)
    assert dealt == deal(labels[::-1])
    counts = [list(dealt.values()).count(split) for split in SPLITS]
    assert max(counts) - min(counts) <= 1


def test_materials_are_found_and_split(tmp_path):
    everything = make_assets(tmp_path, stamps=3, models=2)
    assert len(everything.stamps) == 9
    assert len(everything.models) == 6
    seen: dict[str, set[str]] = {}
    for split in SPLITS:
        part = everything.of(split)
        seen[split] = {row.family for row in (*part.stamps, *part.models)} | {
            row.name for row in part.backgrounds
        }
        assert part.backgrounds
    assert not seen["dev"] & seen["test"]
    assert not seen["fit"] & (seen["dev"] | seen["test"])
    stamp = everything.of("dev").stamps[0]
    assert stamp.caption == f"A {stamp.name}."
    assert not stamp.photo
    with pytest.raises(UsageError, match="train"):
        everything.of("train")


def test_missing_materials_name_the_package(tmp_path):
    with pytest.raises(UsageError, match="apt-get install tuxpaint-stamps-default"):
        found.find_assets([tmp_path])
    with pytest.raises(UsageError, match="sweethome3d-furniture"):
        found.find_assets([tmp_path], need=["models"])


def test_symbols_mirrors_and_stamps_without_words_are_left_out(tmp_path):
    for name in ("symbols/one", "things/axe", "things/axe_mirror", "things/silent"):
        make_stamp(tmp_path / f"{name}.png", "An axe.", 1)
    (tmp_path / "things/silent.txt").unlink()
    assert [row.object_id for row in found.stamps_in(tmp_path)] == ["things/axe"]


def test_catalogues_leave_out_doors_and_number_what_repeats(tmp_path):
    path = tmp_path / "Scopia.sh3f"
    make_catalogue(path, ["mug", "gate"])
    with zipfile.ZipFile(path) as bundle:
        text = bundle.read("PluginFurnitureCatalog.properties").decode()
    folder = tmp_path / "Scopia"
    folder.mkdir()
    text = text.replace("doorOrWindow#2=false", "doorOrWindow#2=true")
    text += "\nname#3=Other mug\nmodel#3=/models/mug/shape1.obj\ncategory#3=Kitchen"
    text += "\nmodelRotation#3=1 0 0 0 0 -1 0 1 0\nheight#3=12.5"
    (folder / "PluginFurnitureCatalog.properties").write_text(text)
    rows = found.models_in([folder])
    assert [row.object_id for row in rows] == ["Scopia/shape1", "Scopia/shape1~2"]
    assert [row.name for row in rows] == ["mug", "other mug"]
    assert rows[1].rotation == (1, 0, 0, 0, 0, -1, 0, 1, 0)
    assert rows[1].size_cm[1] == 12.5
    assert rows[0].family == rows[1].family


def test_the_packaged_lists_are_sound():
    from importlib import resources

    home = resources.files("needlepoint.bench.needle")
    lines = [
        line.split("|")
        for line in home.joinpath("backgrounds.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert len(lines) >= 50
    assert len({row[0] for row in lines}) == len(lines)
    assert all(row[2] for row in lines)
    forced = [row[3] for row in lines if len(row) > 3]
    assert set(forced) <= {"dev", "test"}
    stamps = home.joinpath("photo_stamps.txt").read_text().splitlines()[1:]
    assert len(stamps) == 254
    assert stamps == sorted(stamps)


def test_odd_models_are_repaired(tmp_path):
    (tmp_path / "Wood.PNG").write_bytes(b"")
    (tmp_path / "odd.mtl").write_text(
        "newmtl 1\nKd 0.5 0.5 0.5 spare\nbad syntax\nmap_Kd -s 1 1 1 C:\\old disk\\wood.png\n"
        "map_Bump x.png\nnewmtl two words\nKd 1 nonsense\nd 0.5\n"
    )
    path = tmp_path / "odd.obj"
    path.write_text(
        "mtllib ODD.mtl\no thing\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl 1\nf 1 2\nf 1 2 3\n"
        "usemtl two words\nf 3 2 1\nusemtl undefined\nf 1 3 2\nl 1 2\n"
    )
    clean = tidy(path)
    assert [line for line in clean.read_text().splitlines() if line[0] in "fu"] == [
        "usemtl m0",
        "f 1 2 3",
        "usemtl m1",
        "f 3 2 1",
        "usemtl m2",
        "f 1 3 2",
    ]
    assert clean.with_suffix(".mtl").read_text().split("\n")[:-1] == [
        "newmtl m0",
        "Kd 0.5 0.5 0.5",
        "map_Kd Wood.PNG",
        "",
        "newmtl m1",
        "d 0.5",
        "",
        "newmtl m2",
        "Kd 0.7 0.7 0.7",
        "",
    ]


@given(st.text(max_size=8), st.integers(0, 9), st.integers(2, 12))
@settings(max_examples=40)
def test_views_of_questions_are_far_from_the_others(object_id, seed, count):
    shots = plan_shots(object_id, count, seed=seed)
    assert len(shots) == count
    assert all(angle_between(shots[0].view, shot.view) >= MIN_ANGLE for shot in shots[1:])
    assert shots == plan_shots(object_id, count + 3, seed=seed)[:count]
    assert shots != plan_shots(object_id, count, seed=seed + 1)


def test_angles_between_views():
    assert angle_between(View(0, 0), View(180, 0)) == pytest.approx(180)
    assert angle_between(View(0, 90), View(77, 90)) == pytest.approx(0, abs=1e-5)
    assert direction(View(90, 0)) == pytest.approx([1, 0, 0])


def test_models_are_rendered_once_and_alike(tmp_path):
    everything = make_assets(tmp_path / "root", models=1)
    model = everything.of("dev").models[0]
    first = ViewCache(tmp_path / "one", size=64).views(model, 3)
    second = ViewCache(tmp_path / "two", size=64).views(model, 3)
    for one, two in zip(first, second, strict=True):
        assert one.path.read_bytes() == two.path.read_bytes()
        with Image.open(one.path) as image:
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
        assert max(image.size) <= 64
        assert (alpha > 200).mean() > 0.4
        assert alpha[0].max() > 8
    stamp = first[1].path.stat().st_mtime_ns
    again = ViewCache(tmp_path / "one", size=64).views(model, 2)
    assert again == first[:2]
    assert first[1].path.stat().st_mtime_ns == stamp


def test_colours_come_from_the_materials(tmp_path):
    path = tmp_path / "BlendSwap-CC-0.sh3f"
    make_catalogue(path, nouns("dev", 1))
    cache = ViewCache(tmp_path / "views", size=64)
    rows = cache.views(found.models_in([path])[0], 6)
    colours = set()
    for row in rows:
        with Image.open(row.path) as image:
            pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4)
        red, green, blue = pixels[pixels[:, 3] == 255][:, :3].astype(int).T
        colours |= {"green"} if ((green > red + 40) & (green > blue + 40)).any() else set()
        colours |= {"blue"} if ((blue > red + 40) & (blue > green + 40)).any() else set()
    assert colours == {"green", "blue"}


def test_a_model_that_shows_nothing_is_remembered_as_unusable(tmp_path):
    everything = make_assets(tmp_path / "root", models=1)
    model = everything.of("dev").models[0]
    home = tmp_path / "views/unpacked/BlendSwap-CC-0" / model.member
    home.parent.mkdir(parents=True)
    home.write_text("\n".join(CUBE.splitlines()[:9]))
    cache = ViewCache(tmp_path / "views", size=64)
    assert cache.views(model, 2) == []
    home.write_text(CUBE.format(depth=1))
    assert cache.views(model, 2) == []


def ellipse(width, height):
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    pixels = np.full((height, width, 4), (250, 10, 10, 0), dtype=np.uint8)
    pixels[rows**2 + columns**2 <= 1, 3] = 255
    return Image.fromarray(pixels)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(8, 60), st.integers(8, 60))
def test_a_box_is_the_extent_of_what_was_pasted(seed, width, height):
    ground = Image.new("RGB", (120, 90), (0, 80, 200))
    rng = np.random.default_rng(seed)
    picture, (place,) = compose(ground, [ellipse(width, height)], rng, occlusion=0)
    changed = (np.asarray(picture) != np.asarray(ground)).any(axis=-1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    x, y, w, h = place.box
    assert (x, y) == (columns[0], rows[0])
    assert (x + w - 1, y + h - 1) == (columns[-1], rows[-1])
    assert place.area_fraction == pytest.approx(changed.mean(), abs=1e-5)
    assert place.visible_fraction == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.2, 0.6, 1.0]))
def test_nothing_is_hidden_more_than_allowed(seed, occlusion):
    ground = Image.new("RGB", (160, 120))
    rng = np.random.default_rng(seed)
    cutouts = [ellipse(40 + 3 * number, 50) for number in range(8)]
    _, places = compose(ground, cutouts, rng, occlusion=occlusion)
    assert places
    assert all(1 - place.visible_fraction <= occlusion + 1e-4 for place in places)
    for place in places:
        x, y, w, h = place.box
        assert x >= 0 <= y
        assert x + w <= 160
        assert y + h <= 120
    assert sum(place.area_fraction * place.visible_fraction for place in places) <= 1


def test_a_cutout_larger_than_the_picture_is_left_out():
    _, places = compose(
        Image.new("RGB", (30, 30)),
        [ellipse(40, 10), ellipse(10, 10)],
        np.random.default_rng(0),
        occlusion=0,
    )
    assert [place.index for place in places] == [1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(200, 20_000))
def test_variation_keeps_the_area_and_leaves_no_dark_rim(seed, area):
    look = Look(rotation=0, flip=True, blur=1.0, light=0)
    image = vary(ellipse(50, 80), np.random.default_rng(seed), look, area)
    pixels = np.asarray(image).reshape(-1, 4).astype(int)
    solid = (pixels[:, 3] > 127).sum()
    assert solid == pytest.approx(area * np.pi / 4, rel=0.25)
    assert pixels[pixels[:, 3] > 60][:, 0].min() > 230


def test_backdrops_have_the_wanted_size_and_differ(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.jpg"
    Image.fromarray(rng.integers(0, 255, (90, 50, 3), dtype=np.uint8)).save(path)
    one, two = (backdrop(path, (64, 48), np.random.default_rng(seed)) for seed in (1, 2))
    assert one.size == two.size == (64, 48)
    assert one.tobytes() != two.tobytes()
