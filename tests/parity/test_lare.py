"""LARE against a slow re-statement on the libraries' own modules, for every family of encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity_kit import NEAR, TEXTS, tensor_of, unit
from PIL import Image
from slow_lare import slow_boxes, slow_crops, slow_map, slow_score

from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.torch_tools import attention, received
from needlepoint.methods.fine_grained.lare import LareDescriber, gate, read
from needlepoint.picture import Picture
from needlepoint.regions.attention import inverse_map
from needlepoint.search.exact import segment_max

pytestmark = pytest.mark.torch

SIDE, GRID = 160, 10
SHAPE = {"size": SIDE, "layers": 8}
#: maker, its options, the block that must be read of 8, tokens before the patches
FAMILIES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "open_clip": ("open_clip_folder", {}, 5, 1),
    "open_clip-quickgelu": ("open_clip_folder", {"quick_gelu": True}, 5, 1),
    "timm-clip": ("open_clip_folder", {"timm": 0}, 5, 1),
    "timm-registers": ("open_clip_folder", {"timm": 4}, 5, 5),
    "timm-siglip": ("open_clip_folder", {"siglip": True}, 1, 0),
    "hf-clip": ("hf_clip", {}, 5, 1),
    "hf-siglip": ("hf_siglip", {}, 1, 0),
    "dinov2": ("hf_dino", {"kind": "dinov2"}, 5, 1),
    "dinov2-registers": ("hf_dino", {"kind": "dinov2_with_registers"}, 5, 5),
    "dinov3": ("hf_dino", {"kind": "dinov3_vit"}, 5, 5),
}
#: width, height: two wide, one tall, a square, one too small for windows, one too flat for crops
SIZES = [(300, 200), (411, 333), (170, 290), (200, 200), (97, 64), (900, 70)]


def scenes() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    made = []
    for width, height in SIZES:
        y, x = np.mgrid[0:height, 0:width]
        waves = [np.sin(x / rng.uniform(9, 60) + y / rng.uniform(9, 60)) for _ in range(3)]
        noise = rng.normal(0, 12, (height, width, 3))
        made.append(np.clip(128 + 90 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8))
    return made


class Theirs:
    """One family by the library's own forward pass: vectors, and attention with all tokens."""

    def __init__(self, folder: Any, ours: Any, tap: int) -> None:
        self.hf = not (folder / "open_clip_config.json").exists()
        self.pixels = lambda pictures: torch.from_numpy(ours.preprocess.batch(pictures))
        self.tap = tap
        if self.hf:
            from transformers import AutoModel

            self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
        else:
            import open_clip

            made = open_clip.create_model_and_transforms(f"local-dir:{folder}")
            self.model, transform = made[0].eval(), made[2]
            self.pixels = lambda pictures: torch.stack(
                [transform(Image.fromarray(p)) for p in pictures]
            )

    @torch.inference_mode()
    def vectors(self, pictures: list[np.ndarray]) -> np.ndarray:
        pixels = self.pixels(pictures)
        if not self.hf:
            return unit(self.model.encode_image(pixels))
        if hasattr(self.model, "get_image_features"):
            return unit(tensor_of(self.model.get_image_features(pixel_values=pixels)))
        return unit(self.model(pixel_values=pixels).pooler_output)

    @torch.inference_mode()
    def attention(self, picture: np.ndarray) -> np.ndarray:
        pixels = self.pixels([picture])
        if self.hf:
            vision = getattr(self.model, "vision_model", self.model)
            told = vision(pixel_values=pixels, output_attentions=True)
            return told.attentions[self.tap][0].numpy()
        seen: list[torch.Tensor] = []
        visual = self.model.visual
        if hasattr(visual, "trunk"):
            block = visual.trunk.blocks[self.tap].attn
            block.fused_attn = False
            handle = block.attn_drop.register_forward_hook(lambda m, i, o: seen.append(o))
        else:
            block = visual.transformer.resblocks[self.tap]

            def ask(module: Any, given: Any) -> None:
                inner = module.ln_1(given[0])
                told = module.attn(inner, inner, inner, average_attn_weights=False)
                seen.append(told[1])

            handle = block.register_forward_pre_hook(ask)
        visual(pixels)
        handle.remove()
        return seen[0][0].numpy()


@pytest.fixture(params=FAMILIES, scope="module")
def family(request):
    return request.param


@pytest.fixture(scope="module")
def pair(family, tiny):
    maker, options, tap, _ = FAMILIES[family]
    folder = tiny(maker, **options, **SHAPE)
    ours = open_encoder(f"local-dir:{folder}")
    return ours, Theirs(folder, ours, tap)


def test_maps_boxes_vectors_and_scores_equal_the_slow_ones(pair, family):
    ours, theirs = pair
    _, _, tap, prefix = FAMILIES[family]
    options = read("mode=released")
    assert options.block(ours.card) == tap - 8
    assert (ours.card.prefix, ours.card.blocks) == (prefix, 8)
    pictures = scenes()
    told = ours.image_features(pictures, want=frozenset({"received"}), block=tap)
    assert told.grid == (GRID, GRID)
    maps = inverse_map(told.received * GRID**2, told.grid, SIDE)
    describer = LareDescriber(options)
    proposals = describer.proposals(ours, [Picture.from_pixels(p) for p in pictures])
    described = describer.describe(ours, [Picture.from_pixels(p) for p in pictures])
    counts = []
    texts = ours.encode_text(TEXTS) if "text" in ours.card.abilities else theirs.vectors(pictures)
    fused = []
    for i, pixels in enumerate(pictures):
        height, width = pixels.shape[:2]
        made = slow_map(theirs.attention(pixels), prefix, GRID, SIDE)
        # attention comes of two computations, each within 1e-6 of the truth
        np.testing.assert_allclose(maps[i], made, atol=1e-5, rtol=0)
        boxes = slow_boxes(made, width, height)
        assert proposals[i].boxes.tolist() == [box.corners for box in boxes]
        np.testing.assert_allclose(proposals[i].scores, [b.score for b in boxes], atol=1e-5)
        crops = slow_crops(pixels, boxes, SIDE)
        (found,) = described[i]
        np.testing.assert_allclose(found.whole, theirs.vectors([pixels])[0], atol=NEAR, rtol=0)
        regions = theirs.vectors(crops) if crops else np.zeros((0, ours.card.dim), np.float32)
        assert found.regions.shape == regions.shape
        np.testing.assert_allclose(found.regions, regions, atol=NEAR, rtol=0)
        encoded = [b for b in boxes if min(b.x2 - b.x1, b.y2 - b.y1) >= 32]
        corners = found.boxes + np.array([[0, 0, 1, 1]]) * np.tile(found.boxes[:, :2], 2)
        assert corners.tolist() == [b.corners for b in encoded]
        counts.append((len(boxes), len(encoded)))
        fused.append(
            [slow_score(t, theirs.vectors([pixels])[0], regions, 0.25) for t in texts]
        )  # fmt: skip
    assert counts[4] == (0, 0)
    assert counts[5][0] > 0
    assert counts[5][1] == 0
    assert counts[0] == (5, 5)
    offsets = np.cumsum([0, *(len(one.regions) for (one,) in described)])
    whole = texts @ np.stack([one.whole for (one,) in described]).T
    every = np.concatenate([one.regions for (one,) in described])
    region = segment_max(every @ texts.T, offsets.astype(np.int64)).T
    fusion = gate("tau=0.25", ours.card)
    near_the_gate = np.abs(whole - 0.25) < 1e-4
    assert not near_the_gate.any()
    np.testing.assert_allclose(fusion.combine(whole, region), np.transpose(fused), atol=NEAR)


def test_rows_sum_as_they_should(pair, family):
    """With P patches: what is received sums to P without a class token, to less with one."""
    ours, _ = pair
    prefix = FAMILIES[family][3]
    told = ours.image_features(scenes()[:2], want=frozenset({"received"}), block=3)
    sums = (told.received * GRID**2).sum(axis=2)
    if prefix:
        assert sums.max() < GRID**2
    else:
        np.testing.assert_allclose(sums, GRID**2, rtol=1e-5)


def test_the_batch_a_picture_is_in_changes_nothing(pair):
    ours, _ = pair
    pictures = [Picture.from_pixels(p) for p in scenes()]
    describer = LareDescriber(read(""))
    together = describer.describe(ours, pictures)
    for picture, (found,) in zip(pictures, together, strict=True):
        ((alone,),) = describer.describe(ours, [picture])
        np.testing.assert_array_equal(found.boxes, alone.boxes)
        np.testing.assert_allclose(found.whole, alone.whole, atol=NEAR, rtol=0)
        np.testing.assert_allclose(found.regions, alone.regions, atol=NEAR, rtol=0)
    assert describer.describe(ours, []) == []


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_received_in_blocks_of_rows_is_the_mean_of_the_whole_matrix(prefix):
    """300 tokens take three blocks; the reference is in float64."""
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 2, 3, 300, 8)
    whole = attention(queries.double(), keys.double(), None)[:, :, prefix:, prefix:].mean(dim=2)
    found = received(queries, keys, prefix)
    assert found.shape == (2, 3, 300 - prefix)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, whole, atol=1e-7, rtol=1e-5)
