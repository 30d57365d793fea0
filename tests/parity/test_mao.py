"""MaO's closed form against autograd: relevance, gradients, tokens after some steps."""

from __future__ import annotations

import numpy as np
import pytest
import slow_mao
import torch
from slow_mao import FAMILIES, Slow, masks_for
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.last_block import LastBlocks
from needlepoint.regions.relevance import Aim, Refinement, relevance, sensitivity

pytestmark = pytest.mark.torch

N, SIZE = 3, 64
PAPER = {"overlap": "iou", "normal": "crop", "floor": 1e-6}
RELEASED = {"overlap": "dice", "normal": "batch", "floor": 1e-6}


def floor_of(family):
    """As released: CLIP's maps are divided by their range and a little, others' by their range."""
    return 1e-6 if "clip" in family else None


def squares(count=N, seed=0):
    side = [64, 70, 90]
    rng = np.random.default_rng(seed)
    many = [p for p in pictures(5, seed) if min(p.shape[:2]) >= 64]
    made = []
    for i in range(count):
        p, s = many[i % len(many)], min(side[i % 3], *many[i % len(many)].shape[:2])
        y, x = rng.integers(0, p.shape[0] - s + 1), rng.integers(0, p.shape[1] - s + 1)
        made.append(np.ascontiguousarray(p[y : y + s, x : x + s]))
    return made


@pytest.fixture(params=FAMILIES, scope="module")
def family(request):
    return request.param


@pytest.fixture(scope="module")
def encoder(family, tiny):
    maker, options, _ = FAMILIES[family]
    folder = tiny(maker, **options)
    if "dino" in family:
        from transformers import AutoModel

        Slow.dino = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    return open_encoder(slow_mao.address(maker, folder))


def both(family, encoder, double, slow_double=None):
    """Our cache and the slow one for the same crops."""
    reader = LastBlocks(encoder, FAMILIES[family][2], double)
    crops = squares()
    pixels = torch.from_numpy(reader.preprocess.batch(crops))
    slow_double = double if slow_double is None else slow_double
    dtype = torch.float64 if slow_double else torch.float32
    return reader, reader.read(crops), Slow(family, encoder, pixels, dtype)


def tokens_like(base, seed=0):
    maker = torch.Generator().manual_seed(seed)
    return torch.randn(base.shape, generator=maker, dtype=base.dtype)


def near(ours, theirs, relative):
    """Equal up to a share of the largest number."""
    ours, theirs = (torch.as_tensor(t).detach() for t in (ours, theirs))
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= relative * float(theirs.abs().max())


def test_the_encoders_own_vectors_and_block_come_out(family, encoder):
    reader, block, slow = both(family, encoder, False)
    output, base = slow.library(encoder, torch.from_numpy(reader.preprocess.batch(squares())))
    near(block.base, base, 1e-5)
    near(block.feature, slow.feature, 1e-5)
    if FAMILIES[family][2] == "block":
        with torch.inference_mode():
            tokens, context, _ = reader.ahead(squares())
            near(reader.anatomy.outgoing(tokens, context)[3], output, 1e-5)
    whole = encoder.encode_image([squares()[0]])
    if encoder.preprocess.rule == "squash" or not encoder.preprocess.shortest > SIZE:
        near(torch.nn.functional.normalize(block.base[:1], dim=-1), whole, 1e-5)


@pytest.mark.parametrize("double", [True, False])
def test_relevance_equals_autograd(family, encoder, double):
    _, block, slow = both(family, encoder, double)
    tokens = tokens_like(slow.base)
    side = SIZE // 16
    with torch.inference_mode():
        ours, raw = relevance(block, tokens), sensitivity(block, tokens)
    assert ours.shape == (N, side, side)  # no column of a class or register token is left
    near(raw, slow.sensitivity(tokens), 1e-10 if double else 3e-6)
    near(ours, slow.maps(tokens)[:, 0], 1e-10 if double else 1e-6)
    assert float(ours.min()) >= 0
    assert float(ours.max()) > 0


def test_sensitivity_is_linear_and_relevance_homogeneous(family, encoder):
    _, block, slow = both(family, encoder, True)
    one, two = tokens_like(slow.base, 1), tokens_like(slow.base, 2)
    with torch.inference_mode():
        summed = sensitivity(block, one) + 3 * sensitivity(block, two)
        near(sensitivity(block, one + 3 * two), summed, 1e-12)
        near(relevance(block, 5 * one), 5 * relevance(block, one), 1e-12)
        assert float((relevance(block, -one) + relevance(block, one)).abs().max()) > 0


def test_push_is_the_transpose_of_pull_back(family, encoder):
    _, block, slow = both(family, encoder, True)
    tokens = tokens_like(slow.base)
    with torch.inference_mode():
        pulled = block.pull_back(tokens)
        other = tokens_like(pulled, 5)
        left, right = (pulled * other).sum((1, 2)), (block.push(other) * tokens).sum(1)
    near(left, right, 1e-10)


@pytest.mark.parametrize("how", [PAPER, RELEASED, {**RELEASED, "floor": None}], ids=str)
@pytest.mark.parametrize("joint", [True, False])
def test_the_gradient_equals_autograd(family, encoder, how, joint):
    _, block, slow = both(family, encoder, True)
    owner = torch.zeros(N, dtype=torch.long) if joint else torch.arange(N)
    masks = masks_for(N, SIZE)
    refinement = Refinement.of(block, Aim.at(block, masks, **how), owner, alpha=0.03)
    tokens = tokens_like(slow.base)[: int(owner.max()) + 1]
    with torch.inference_mode():
        losses, gradient = refinement.loss(tokens)
    asked = tokens.clone().requires_grad_()
    stacked = torch.from_numpy(np.stack(masks)).double()
    loss = slow_mao.loss_of(slow, asked, stacked, owner, alpha=0.03, **how)
    near(losses.sum(), loss, 1e-10)
    near(gradient, torch.autograd.grad(loss, asked)[0], 1e-8)


@pytest.mark.parametrize(("steps", "off"), [(0, 1e-6), (1, 1e-5), (10, 5e-4)])
@pytest.mark.parametrize("released", [False, True])
def test_tokens_after_a_few_steps(family, encoder, steps, off, released):
    """Joint, IoU and per-crop scaling; N tokens, Dice and batch-wide scaling as released.

    Ours in float32 against the slow one in float64, whose own float32 strays further.
    """
    _, block, slow = both(family, encoder, False, slow_double=True)
    how = {**RELEASED, "floor": floor_of(family)} if released else PAPER
    owner = torch.arange(N) if released else torch.zeros(N, dtype=torch.long)
    masks = masks_for(N, SIZE)
    ours = Refinement.of(block, Aim.at(block, masks, **how), owner, alpha=0.03).run(steps, 0.1)
    stacked = torch.from_numpy(np.stack(masks)).double()
    theirs, _ = slow_mao.refine(slow, stacked, owner, steps, alpha=0.03, **how)
    assert ours.shape == (N if released else 1, encoder.card.dim)
    assert float((ours - theirs).abs().max()) <= off


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize(
    "family", ["clip", "siglip-mean", "siglip-head", "dinov2-registers"], indirect=True
)
def test_tokens_after_eighty_steps_in_float64(family, encoder, released):
    _, block, slow = both(family, encoder, True)
    how = {**RELEASED, "floor": floor_of(family)} if released else PAPER
    owner = torch.arange(N) if released else torch.zeros(N, dtype=torch.long)
    masks = masks_for(N, SIZE)
    refinement = Refinement.of(block, Aim.at(block, masks, **how), owner, alpha=0.03)
    ours = refinement.run(80, 0.1)
    stacked = torch.from_numpy(np.stack(masks)).double()
    theirs, losses = slow_mao.refine(slow, stacked, owner, 80, alpha=0.03, **how)
    cosine = (ours * theirs).sum(-1)
    assert float(cosine.min()) > (0.99 if released else 1 - 1e-6)
    with torch.inference_mode():
        assert float(refinement.loss(ours)[0].sum()) < losses[0]
