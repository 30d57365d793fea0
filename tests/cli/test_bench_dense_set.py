"""The command that makes a Dense-Set, on generated pictures and their annotations."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from needlepoint.cli.bench_dense_set import dense_set
from needlepoint.errors import UsageError


@pytest.fixture
def scene(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    told = {"pictures": []}
    for number, names in enumerate((["cup", "key", "key"], ["cup"], [])):
        Image.fromarray(np.full((40, 50, 3), 60 * number, np.uint8)).save(folder / f"{number}.png")
        things = [{"name": name, "box": [5 * i, 5, 4, 4]} for i, name in enumerate(names)]
        told["pictures"].append({"file": f"{number}.png", "objects": things})
    (tmp_path / "truth.json").write_text(json.dumps(told))
    return tmp_path


def call(*words):
    return CliRunner().invoke(dense_set, [str(word) for word in words], standalone_mode=False)


def test_a_set_is_made_and_told(scene):
    detector = f"annotations:{scene / 'truth.json'}"
    done = call(scene / "pictures", scene / "out", "--detector", detector, "--share", "0.5")
    assert done.exception is None
    assert "2 captions for 2 of the 2 densest of 3 pictures" in done.stdout
    made = json.loads((scene / "out/dense_set.json").read_text())
    assert [row["caption"] for row in made["annotations"]] == ["a photo of a cup"] * 2
    assert "R@1 50.00 %" in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--detector", "yolo:x"], "--detector must be annotations:FILE or owlv2:FOLDER"),
        (["--detector", "owlv2:x"], "needs --classes FILE"),
        (["--detector", "owlv2:x", "--classes", "nowhere"], "--classes nowhere cannot be read"),
        (["--detector", "annotations:T", "--captioner", "gpt"], "--captioner must be blip:FOLDER"),
        (["--detector", "annotations:T", "--share", "2"], "share=2.0 must be"),
    ],
)
def test_what_cannot_be_meant_is_told(scene, flags, said):
    flags = [flag.replace("annotations:T", f"annotations:{scene / 'truth.json'}") for flag in flags]
    done = call(scene / "pictures", scene / "out", *flags)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
