"""CalibCLIP in both modes against a slow re-statement, one patch and one token at a time.

The numbers name the properties that a right implementation must satisfy, from attention rows (2)
to batch independence (6). Metrics (10) are tested with the metrics.
"""

from __future__ import annotations

import inspect
import math
import warnings

import numpy as np
import pytest
import torch
from parity_kit import NEAR
from tiny import WORDS, pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import UsageError
from needlepoint.methods.card import describer_of, find_method
from needlepoint.methods.fine_grained.calibclip import CalibDescriber, ask, read
from needlepoint.picture import Picture
from needlepoint.regions.dominant import Layers, enhance_released
from needlepoint.search.concepts import calibrate_released, released_frequency
from needlepoint.search.fusion import WHOLE

pytestmark = pytest.mark.torch

TEXTS = ["a small yellow duck in the crowd", "two dogs and one cat", "red", "the dog"]
CORPUS = [*WORDS, "a dog", "the cat", "the dog and the cat"]
FAMILIES = {
    "open-clip": ("open_clip_folder", {}),
    "hf-clip": ("hf_clip", {}),
    "hf-siglip": ("hf_siglip", {}),
    "open-clip-siglip": ("open_clip_folder", {"siglip": True}),
    "open-clip-timm": ("open_clip_folder", {"timm": 4}),
    "dinov2": ("hf_dino", {"kind": "dinov2_with_registers"}),
}
WITH_WORDS = [name for name in FAMILIES if name != "dinov2"]


def opened(tiny, name):
    maker, options = FAMILIES[name]
    return open_encoder(f"local-dir:{tiny(maker, **options)}")


@pytest.fixture(params=FAMILIES)
def encoder(request, tiny):
    return opened(tiny, request.param)


@pytest.fixture(params=WITH_WORDS)
def reader(request, tiny):
    return opened(tiny, request.param)


@pytest.fixture
def square(tiny, tmp_path_factory):
    """An open_clip model whose text is as wide as its joint space, as OpenAI's ViT-B/16."""
    import json

    import open_clip
    from safetensors.torch import save_file
    from tiny import open_clip_folder, shake

    folder = tmp_path_factory.mktemp("square") / "model"
    tiny("open_clip_folder")
    open_clip_folder(folder)
    told = json.loads((folder / "open_clip_config.json").read_text())
    told["model_cfg"]["embed_dim"] = told["model_cfg"]["text_cfg"]["width"]
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    model = shake(open_clip.create_model(f"local-dir:{folder}", load_weights=False))
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return open_encoder(f"open_clip:local-dir:{folder}")


def wholes(encoder, options="", some=None):
    """Vectors of pictures as a library would keep them."""
    found = describer_of(f"calibclip:{options}" if options else "calibclip").describe(
        encoder, [Picture.from_pixels(p) for p in some or pictures()]
    )
    return np.stack([one.whole for (one,) in found])


def slow_unit(vector):
    return vector / math.sqrt(sum(float(v) ** 2 for v in vector))


def slow_quantile(values, share):
    """Linear interpolation between order statistics."""
    ordered = sorted(float(v) for v in values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def slow_picture(tower, pixels):
    """Everything of one picture from the tower's blocks, attention materialised, in float64."""
    tokens, context = tower.embed(pixels)
    for block in tower.blocks[:-1]:
        tokens = tower.run(block, tokens, context)
    after = tower.run(tower.blocks[-1], tokens, context)
    if tower.prefix:
        queries, keys = tower.query_key(tower.blocks[-1], tokens, context)
        rows = (queries @ keys.transpose(-1, -2)).softmax(-1)
        row = rows[0, :, 0, tower.prefix :]
    else:
        row = tower.pooling(tokens, after, context)[0]
    pooled = tower.pool(after)[0].double().numpy()
    final = tower.final(after)[0]
    joint = tower.joint(final).double().numpy()
    return row.double().numpy().mean(0), pooled, final.double().numpy(), joint


def slow_cve(attention, pooled, joint, rho, rho_d, percentile):
    threshold = slow_quantile(attention, percentile / 100)
    sides = {True: np.zeros(len(pooled)), False: np.zeros(len(pooled))}
    totals = {True: 0.0, False: 0.0}
    for share, patch in zip(attention, joint, strict=True):
        sides[share >= threshold] += share * patch
        totals[share >= threshold] += share
    if totals[False] == 0:
        return slow_unit(pooled)
    away = slow_unit(sides[True] / totals[True])
    return slow_unit(
        slow_unit(pooled) + rho * slow_unit(sides[False] / totals[False]) - rho_d * away
    )


@pytest.mark.parametrize("options", ["", "rho=0.3,rho_d=0.2,percentile=60"])
def test_default_pictures_equal_the_restatement(encoder, options):
    chosen = read(options)
    got = wholes(encoder, options)
    pixels = torch.from_numpy(encoder.preprocess.batch(pictures()))
    for row, one in zip(got, pixels, strict=True):
        with torch.inference_mode():
            attention, pooled, _, joint = slow_picture(encoder.tower, one[None])
        wanted = slow_cve(attention, pooled, joint, chosen.rho, chosen.rho_d, chosen.percentile)
        np.testing.assert_allclose(row, wanted, atol=NEAR, rtol=0)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)  # 8
    assert (got * encoder.encode_image(pictures())).sum(1).max() < 0.9999  # it did move


def test_released_pictures_equal_the_restatement(encoder):
    """4: u, v, gate and the vector, given the same four tensors."""
    layers = read("mode=released").tensors(64, encoder.card.dim)
    want = frozenset({"final", "pooling", "length"})
    features = encoder.image_features(pictures(), want=want)
    steps = enhance_released(
        features.vector * features.length[:, None],
        features.final,
        features.pooling.mean(1),
        layers,
    )
    pixels = torch.from_numpy(encoder.preprocess.batch(pictures()))
    for i, one in enumerate(pixels):
        with torch.inference_mode():
            attention, pooled, final, _ = slow_picture(encoder.tower, one[None])
        threshold = slow_quantile(attention, 0.9)
        context = np.zeros(final.shape[1])
        total = 0.0
        for share, patch in zip(attention, final, strict=True):
            if share < threshold:
                context += share * patch
                total += share
        context /= max(total, 1e-8)
        projected = layers.context.astype(np.float64) @ context + layers.context_bias
        both = np.concatenate((pooled, projected))
        gate = 1 / (1 + np.exp(-(layers.gate.astype(np.float64) @ both + layers.gate_bias)))
        wanted = slow_unit(pooled + 0.1 * gate * projected)
        np.testing.assert_allclose(steps.context[i], context, atol=NEAR, rtol=0)
        np.testing.assert_allclose(steps.projected[i], projected, atol=NEAR, rtol=0)
        np.testing.assert_allclose(steps.gate[i], gate, atol=NEAR, rtol=0)
        np.testing.assert_allclose(steps.vectors[i], wanted, atol=NEAR, rtol=0)
    np.testing.assert_array_equal(steps.vectors, wholes(encoder, "mode=released"))
    other = wholes(encoder, "mode=released,layers=untrained:1")
    assert np.abs(other - steps.vectors).max() > 1e-4  # the seed changes the result


def test_released_tensors_from_files(tiny, tmp_path):
    from safetensors.numpy import save_file

    encoder = opened(tiny, "open-clip")
    layers = Layers.untrained(64, 48, seed=5)
    named = {name: getattr(layers, name) for name in Layers.__slots__}
    np.savez(tmp_path / "four.npz", **named)
    save_file(named, tmp_path / "four.safetensors")
    wanted = wholes(encoder, "mode=released,layers=untrained:5")
    for name in ("four.npz", "four.safetensors"):
        got = wholes(encoder, f"mode=released,layers={tmp_path / name}")
        np.testing.assert_array_equal(got, wanted)
    np.savez(tmp_path / "short.npz", context=layers.context)
    np.savez(tmp_path / "narrow.npz", **{**named, "gate": layers.gate[:, 1:]})
    for name, told in [
        ("short.npz", "lacks context_bias, gate, gate_bias"),
        ("narrow.npz", r"gate is \[48, 95\]; .* needs \[48, 96\]"),
        ("none.npz", "cannot be read"),
        ("four.pt", "must end in .npz or .safetensors"),
    ]:
        with pytest.raises(UsageError, match=told):
            wholes(encoder, f"mode=released,layers={tmp_path / name}")


def slow_text(encoder, text):
    """Everything of one text, attention materialised; the mask from the tokenizer's own words."""
    features = encoder.text_features(
        [text], want=frozenset({"attention", "ids", "ends", "final", "joint", "length"})
    )
    end = int(features.ends[0])
    row = features.attention[0, :, end].astype(np.float64).mean(0)
    pooled = (features.vector[0] * features.length[0]).astype(np.float64)
    return row, pooled, features.final[0].astype(float), features.joint[0].astype(float), end


def own_words(encoder, text):
    """Positions of the text's own tokens: those that another text of as many tokens may change."""
    ids = encoder.token_ids([text])[0].tolist()
    inner = getattr(encoder.tokenize.tokenizer, "tokenizer", encoder.tokenize.tokenizer)
    names = ("all_special_ids", "sot_token_id", "eot_token_id")
    special = set()
    for name in names:
        told = getattr(inner, name, [])
        special |= set(told) if isinstance(told, list) else {told}
    ends = [i for i, one in enumerate(ids) if one in special and i > 0]
    return ids, list(range(int(ids[0] in special), ends[0]))


def slow_softmax(scores):
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    return [power / sum(powers) for power in powers]


def slow_documents(encoder, corpus):
    held = {}
    for text in corpus:
        ids, places = own_words(encoder, text)
        for one in {ids[place] for place in places}:
            held[one] = held.get(one, 0) + 1
    return {one: count / max(held.values()) for one, count in held.items()}


@pytest.mark.parametrize("options", ["", "lam=0.8,temperature=0.05,mu=0.3,shortlist=7"])
def test_default_texts_equal_the_restatement(reader, options):
    """Also 7: weights sum to 1 and live on words alone."""
    chosen = read(options)
    got = ask(reader, TEXTS, options, CORPUS)
    table = slow_documents(reader, CORPUS)
    for i, text in enumerate(TEXTS):
        attention, pooled, _, joint, _ = slow_text(reader, text)
        ids, places = own_words(reader, text)
        common = [table.get(ids[place], 0.0) for place in places]
        means = []
        for weigh in (lambda q: 1 - q, lambda q: q):
            scores = [
                attention[place] * weigh(q) / chosen.temperature
                for place, q in zip(places, common, strict=True)
            ]
            mean = np.zeros(joint.shape[1])
            for place, share in zip(places, slow_softmax(scores), strict=True):
                mean += share * slow_unit(joint[place])
            means.append(slow_unit(mean))
        special, general = means
        wanted = slow_unit(slow_unit(pooled) + chosen.lam * (special - general))
        np.testing.assert_allclose(got.vectors[i], wanted, atol=NEAR, rtol=0)
        if chosen.mu:
            np.testing.assert_allclose(got.second[i], special, atol=NEAR, rtol=0)
    assert (got.share, got.shortlist) == ((0.3, 7) if options else (0.0, 100))
    assert (got.second is None) == (not options)
    assert np.abs(got.vectors - reader.encode_text(TEXTS)).max() > 1e-3


def test_released_texts_equal_the_restatement(square):
    """4: frequency, both weights, both means and the vector; padding keeps weight."""
    want = frozenset({"final", "pooling", "length", "ids", "ends"})
    features = square.text_features(TEXTS, want=want)
    for corpus in (None, square.token_ids(CORPUS)):
        frequency = released_frequency(features.ids, corpus)
        steps = calibrate_released(
            features.vector * features.length[:, None],
            features.final,
            features.pooling.mean(1),
            frequency,
            features.ends,
        )
        counted = (features.ids if corpus is None else corpus).ravel().tolist()
        highest = max(counted)
        counts = [
            [counted.count(min(one, highest)) for one in row] for row in features.ids.tolist()
        ]
        largest = max(max(row) for row in counts) + 1e-8
        kept = []
        for i, text in enumerate(TEXTS):
            attention, pooled, final, _, end = slow_text(square, text)
            common = [count / largest for count in counts[i]]
            sums = []
            for weigh, weights in (
                (lambda q: 1 - q, steps.special[i]),
                (lambda q: q, steps.general[i]),
            ):
                scores = [
                    attention[t] * weigh(common[t]) / 0.01 if t <= end else 0.0 for t in range(77)
                ]
                wanted = slow_softmax(scores)
                np.testing.assert_allclose(weights, wanted, atol=NEAR, rtol=0)
                kept.append(sum(wanted[end + 1 :]))
                sums.append(sum(share * y for share, y in zip(wanted, final, strict=True)))
            np.testing.assert_allclose(steps.frequency[i], common, atol=NEAR, rtol=0)
            np.testing.assert_allclose(steps.special_mean[i], sums[0], atol=NEAR, rtol=0)
            np.testing.assert_allclose(steps.general_mean[i], sums[1], atol=NEAR, rtol=0)
            vector = slow_unit(pooled + 0.5 * (sums[0] - sums[1]))
            np.testing.assert_allclose(steps.vectors[i], vector, atol=NEAR, rtol=0)
        assert min(kept) > 0  # padding keeps weight
        assert max(kept) > 0.05
        options = "mode=released" if corpus is None else "mode=released,frequency=counts"
        asked = ask(square, TEXTS, options, CORPUS)
        np.testing.assert_array_equal(asked.vectors, steps.vectors)


def test_released_texts_depend_on_their_batch_and_default_ones_do_not(square):
    """6: the batch-frequency heuristic, shown and not hidden.

    With a corpus the counts stay, but are divided by the largest among the tokens scored: that is
    the padding's, unless a text fills the context.
    """
    full = "the small dog " * 40
    for options, text, changed in [
        ("mode=released", TEXTS[0], True),
        ("mode=released,frequency=counts", full, True),
        ("", TEXTS[0], False),
        ("", full, False),
        ("frequency=counts", full, False),
    ]:
        alone = ask(square, [text], options, CORPUS).vectors[0]
        among = ask(square, [text, *TEXTS], options, CORPUS).vectors[0]
        moved = np.abs(alone - among).max()
        assert moved > 1e-4 if changed else moved < 1e-6, (options, moved)


def test_default_pictures_do_not_depend_on_their_batch(encoder):
    """6."""
    together = wholes(encoder)
    alone = np.concatenate([wholes(encoder, some=[one]) for one in pictures()])
    np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)


def test_padding_changes_no_default_text(square):
    """6: a context cut to the text gives the same vector as one padded to 77."""
    from needlepoint.search.concepts import calibrate, common_words, share_of

    ids = square.token_ids(CORPUS)
    table = common_words([(ids, square.word_mask(ids))])
    want = frozenset({"joint", "pooling", "ids", "words"})
    f = square.text_features(TEXTS[:1], want=want)
    length = int(f.words[0].sum()) + 2
    full, cut = (
        calibrate(
            f.vector,
            f.joint[:, :stop],
            f.pooling.mean(1)[:, :stop],
            share_of(table, f.ids[:, :stop]),
            f.words[:, :stop],
        )
        for stop in (77, length)
    )
    np.testing.assert_allclose(full.vectors, cut.vectors, atol=1e-7)
    assert (full.special[:, length:] == 0).all()


def test_both_parts_off_are_the_encoder(encoder):
    """1, 8: cve=no, or no weight; dcc=no, or no weight."""
    plain = encoder.encode_image(pictures())
    np.testing.assert_allclose(wholes(encoder, "cve=no"), plain, atol=NEAR, rtol=0)
    np.testing.assert_allclose(wholes(encoder, "rho=0"), plain, atol=1e-6, rtol=0)
    if "text" in encoder.card.abilities:
        words = encoder.encode_text(TEXTS)
        for options in ("dcc=no", "lam=0"):
            asked = ask(encoder, TEXTS, options, CORPUS)
            np.testing.assert_allclose(asked.vectors, words, atol=NEAR, rtol=0)


def test_both_parts_off_on_a_grid_that_is_not_square(square):
    """1: positions resized, overlapping patches; the backbone is asked itself elsewhere."""
    for options, how in [
        ("cve=no,size=96x32", {"size": (96, 32)}),
        ("cve=no,size=96x32,stride=8", {"size": (96, 32), "stride": 8}),
        ("rho=0,size=32x128", {"size": (32, 128)}),
    ]:
        plain = square.image_features(pictures(), **how).vector
        np.testing.assert_allclose(wholes(square, options), plain, atol=1e-6, rtol=0)
    moved = wholes(square, "mode=released,size=96x32,stride=8")
    assert np.isfinite(moved).all()
    assert np.abs(moved - plain).max() > 1e-4


def test_controls_add_plain_means(square):
    patches = square.image_features(pictures(), want=frozenset({"joint"})).joint
    words = square.text_features(TEXTS, want=frozenset({"joint", "words"}))
    plain = square.encode_image(pictures())
    for got, one, mean in zip(wholes(square, "cve=mean"), plain, patches.mean(1), strict=True):
        np.testing.assert_allclose(got, slow_unit(one + 0.1 * slow_unit(mean)), atol=NEAR)
    got = ask(square, TEXTS, "dcc=mean,lam=0.2", []).vectors  # needs no corpus
    for i, one in enumerate(square.encode_text(TEXTS)):
        mean = sum(slow_unit(y) for y in words.joint[i][words.words[i]])
        np.testing.assert_allclose(got[i], slow_unit(one + 0.2 * slow_unit(mean)), atol=NEAR)


def test_no_parameters_and_no_seed(tiny):
    """5: default mode has nothing to load and two encoders of the same weights agree."""
    one, other = opened(tiny, "open-clip"), opened(tiny, "open-clip")
    state = {k: v.clone() for k, v in one.tower._visual.state_dict().items()}
    np.random.seed(1)  # noqa: NPY002 (a generator of its own would show nothing)
    torch.manual_seed(1)
    first = wholes(one), ask(one, TEXTS, "mu=0.2", CORPUS)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    second = wholes(other), ask(other, TEXTS, "mu=0.2", CORPUS)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1].vectors, second[1].vectors)
    np.testing.assert_array_equal(first[1].second, second[1].second)
    after = one.tower._visual.state_dict()
    assert list(after) == list(state)
    assert all(torch.equal(after[k], state[k]) for k in state)
    assert "layers" not in inspect.getsource(CalibDescriber.vectors).partition("released")[0]


def test_a_text_without_words_is_asked_as_it_is(reader):
    """8."""
    asked = ask(reader, ["", TEXTS[0]], "mu=0.5", CORPUS)
    np.testing.assert_allclose(asked.vectors[0], reader.encode_text(""), atol=NEAR, rtol=0)
    np.testing.assert_allclose(asked.second[0], asked.vectors[0], atol=0)
    assert np.isfinite(asked.vectors).all()
    np.testing.assert_allclose(np.linalg.norm(asked.second, axis=1), 1, atol=1e-5)


def test_text_width_other_than_the_joint_space(tiny):
    """9: default mode runs (48 of 64), released mode says why it cannot."""
    encoder = opened(tiny, "open-clip")
    assert ask(encoder, TEXTS, "", CORPUS).vectors.shape == (4, 48)
    with pytest.raises(UsageError, match="text tokens of width 64 to vectors of dim 48"):
        ask(encoder, TEXTS, "mode=released", CORPUS)


def test_without_a_corpus_texts_stay_and_it_is_said(square, tmp_path):
    with pytest.warns(UserWarning, match="no captions and no corpus=FILE"):
        asked = ask(square, TEXTS, "mu=0.5", [])
    np.testing.assert_array_equal(asked.vectors, square.text_features(
        TEXTS, want=frozenset({"joint", "final", "pooling", "length", "ids", "ends", "words"})
    ).vector)  # fmt: skip
    assert asked.second is None
    file = tmp_path / "corpus.txt"
    file.write_text("\n\n".join(CORPUS), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = ask(square, TEXTS, f"corpus={file}", ["other words"])
    np.testing.assert_array_equal(told.vectors, ask(square, TEXTS, "", CORPUS).vectors)
    file.write_text("\n")
    with pytest.raises(UsageError, match="holds no text"):
        ask(square, TEXTS, f"corpus={file}", CORPUS)
    with pytest.raises(UsageError, match="cannot be read"):
        ask(square, TEXTS, f"corpus={tmp_path / 'none.txt'}", CORPUS)


def test_encoders_that_cannot_tell_are_refused():
    builtin = open_encoder("builtin")
    with pytest.raises(UsageError, match="what the pooling token attends to"):
        wholes(builtin)
    with pytest.raises(UsageError, match="what the end of a text attends to"):
        ask(builtin, TEXTS, "", CORPUS)
    plain = builtin.image_features(pictures(2)).vector
    np.testing.assert_allclose(wholes(builtin, "cve=no", pictures(2)), plain, atol=1e-6)
    asked = ask(builtin, TEXTS, "dcc=no", [])
    np.testing.assert_allclose(asked.vectors, builtin.encode_text(TEXTS), atol=1e-6)


def test_dino_has_no_words(tiny):
    with pytest.raises(UsageError, match="has no words"):
        ask(opened(tiny, "dinov2"), TEXTS, "", CORPUS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("percentile=101", "percentile is 101.0. Allowed: 0 to 100"),
        ("temperature=0", "above 0"),
        ("mu=2", "0 to 1"),
        ("shortlist=0", "1 or more"),
        ("size=384", "HEIGHTxWIDTH"),
        ("stride=-1", "pixels"),
        ("frequency=batch", "documents or counts"),
        ("mode=released,frequency=documents", "counts or batch"),
        ("mode=released,rho_d=0.1", "released mode, which has none"),
        ("mode=paper", "Allowed: default, released"),
    ],
)
def test_mistakes_are_told(options, told):
    with pytest.raises(UsageError, match=told):
        read(options)


def test_the_registry_has_it_whole():
    method = find_method("calibclip")
    assert method.fusion("", None) == WHOLE
    assert describer_of("calibclip:rho=0.2,lam=0.3").recipe == "calibclip:rho=0.2,lam=0.3"
    fields = read("").__dataclass_fields__
    assert set(method.when_asked) < set(fields)
    assert set(method.card.parameters) == set(fields)


@pytest.mark.parametrize("line", ["calibclip", "calibclip:mode=released,size=96x32", "dense-text"])
def test_counting_and_remembering_encoders_give_the_same(tiny, tmp_path, line):
    """Sizes, strides and wants reach the encoder through the bench's, and are told apart."""
    from needlepoint.bench.cache import remembering
    from needlepoint.bench.counting import counted

    encoder = opened(tiny, "open-clip")
    some = [Picture.from_pixels(p) for p in pictures(2)]
    describer = describer_of(line)
    plain = describer.describe(encoder, some)
    kept, passes = counted(remembering(encoder, tmp_path))
    describer_of("calibclip:cve=no").describe(kept, some)  # the same pictures, otherwise
    for _ in range(2):
        for found, wanted in zip(describer.describe(kept, some), plain, strict=True):
            np.testing.assert_array_equal(found[0].whole, wanted[0].whole)
            np.testing.assert_array_equal(found[0].regions, wanted[0].regions)
    maps = 4 if line == "dense-text" else 0
    assert (passes.pictures, passes.maps) == (2 + 4 + maps, maps)
    asked = ask(kept, TEXTS, "mu=0.5", CORPUS)
    wanted = ask(encoder, TEXTS, "mu=0.5", CORPUS)
    np.testing.assert_array_equal(asked.vectors, wanted.vectors)
    np.testing.assert_array_equal(asked.second, wanted.second)


@pytest.mark.parametrize("maker", ["hf_clip", "hf_siglip"])
def test_half_precision_keeps_softmax_and_quantiles_in_float32(tiny, maker):
    address = f"hf:{tiny(maker)}"
    full, half = open_encoder(address), open_encoder(address + "+bf16")
    features = half.image_features(pictures(), want=frozenset({"pooling", "joint"}))
    assert features.pooling.dtype == features.joint.dtype == np.float32
    # shares in bfloat16 would repeat
    assert len(np.unique(features.pooling)) > 0.95 * features.pooling.size
    assert (features.pooling.sum(-1) <= 1 + 1e-5).all()
    for got, wanted in [
        (wholes(half), wholes(full)),
        (ask(half, TEXTS, "", CORPUS).vectors, ask(full, TEXTS, "", CORPUS).vectors),
    ]:
        np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
        assert (got * wanted).sum(1).min() > 0.95  # random weights amplify; real ones less
    for cells in ("value", "tokens", "pool"):
        describer = describer_of(f"dense-text:cells={cells},regions=all")
        (((one,),), ((other,),)) = (
            describer.describe(e, [Picture.from_pixels(pictures(1)[0])]) for e in (half, full)
        )
        assert one.regions.dtype == np.float32
        assert np.median((one.regions * other.regions).sum(1)) > 0.95
