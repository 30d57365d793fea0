"""A small BLIP-2 on the vision tower of another encoder, and its first lesson: pictures and texts.

For machines and data sets that are too small for the real one. Everything behind the tower has
BLIP-2's layout; of its first stage only the contrastive loss (ITC) is learnt, not matching (ITM)
nor writing (ITG).

Shapes: B pairs of a step, K queries, E joint dim, C numbers of a vision token, H width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from needlepoint.bench.needle.edit_truth import EDITS_FILE, load_edits
from needlepoint.encoders.qformer import CONTEXT, VISION_FROM, QFormerEncoder
from needlepoint.encoders.qformer_net import QFormer
from needlepoint.errors import UsageError
from needlepoint.parts import Encoder, TextEncoder
from needlepoint.train.composed_losses import gallery_scores
from needlepoint.train.contrastive import MAX_SCALE, both_ways, relations
from needlepoint.train.feeds import CellFeed
from needlepoint.train.loop import Plan, Progress, train
from needlepoint.train.pairs import Pair, read_pairs
from needlepoint.train.qformer import write_blip2
from needlepoint.train.qformer_data import open_feed
from needlepoint.train.samplers import Batches, Indices
from needlepoint.train.settings import keep_settings, plain
from needlepoint.train.vocabulary import END, END_ID, make_tokenizer, save_tokenizer

_SPREAD = 0.05
"""Of word vectors: well above that of positions (0.02), so that words are told apart."""


@dataclass(frozen=True, slots=True)
class SmallShape:
    """Sizes.

    Attributes:
        width: numbers H of a token in the Q-Former.
        layers: its blocks; every ``look``-th of them looks at the picture (BLIP-2: every second).
        heads: of attention.
        queries: vectors K of a picture.
        dim: numbers E of a vector.
        pool: vision tokens averaged in each direction.
        words: common words that become tokens beside those of the texts.
    """

    width: int = 128
    layers: int = 2
    look: int = 1
    heads: int = 4
    queries: int = 8
    dim: int = 128
    pool: int = 2
    words: int = 3000

    def __post_init__(self) -> None:
        for name in ("width", "layers", "look", "heads", "queries", "dim", "pool", "words"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")
        if self.width % self.heads:
            raise UsageError(f"heads: {self.heads} do not divide the width {self.width}")


def write_small(
    encoder: Encoder, address: str, shape: SmallShape, texts: Sequence[str], out: Path, seed: int
) -> None:
    """Write an untrained BLIP-2 that looks through an encoder; it opens as ``hf:OUT``.

    A word begins as what the encoder makes of that word alone, in the directions in which words
    differ most; all else is random, feed-forward weights of queries as copies of those of words.

    Args:
        encoder: lends its vision tower: a plain vision transformer on torch.
        address: how it is opened again; a local path in it is kept relative to ``out``.
        shape: sizes.
        texts: their words become tokens.
        out: the folder.
        seed: of the random weights.

    Raises:
        UsageError: the encoder does not tell its patch tokens.
    """
    from transformers import Blip2Config, Blip2ForImageTextRetrieval
    from transformers.utils import logging

    logging.disable_progress_bar()
    if "tokens" not in encoder.card.abilities:
        raise UsageError(f"vision: {encoder.card.address} does not tell the tokens of its patches")
    blank = np.zeros((64, 64, 3), np.uint8)
    final = encoder.image_features([blank], want=frozenset({"final"})).final
    assert final is not None
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(texts, shape.words)
    save_tokenizer(tokenizer, out, CONTEXT)
    blocks = {"num_attention_heads": shape.heads, "intermediate_size": 2 * shape.width}
    config = Blip2Config(
        # the tower that is not there: the smallest of the layout
        vision_config={"hidden_size": final.shape[2], "num_hidden_layers": 0, "image_size": 1,
                       "patch_size": 1, "num_attention_heads": 1, "intermediate_size": 1},
        qformer_config={**blocks, "hidden_size": shape.width, "num_hidden_layers": shape.layers,
                        "cross_attention_frequency": shape.look, "use_qformer_text_input": True,
                        "vocab_size": tokenizer.get_vocab_size(),
                        "max_position_embeddings": CONTEXT},
        text_config={"model_type": "opt", "hidden_size": 1, "num_hidden_layers": 0, "ffn_dim": 1,
                     "num_attention_heads": 1, "vocab_size": 8, "word_embed_proj_dim": 1},
        num_query_tokens=shape.queries, image_text_hidden_size=shape.dim,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Blip2ForImageTextRetrieval(config)
    with torch.no_grad():
        model.query_tokens.normal_(0, config.initializer_range)
        state = model.state_dict()
        for name, value in state.items():
            if "_query." in name:
                value.copy_(state[name.replace("_query.", ".")])
        words = model.embeddings.word_embeddings.weight
        words.copy_(torch.from_numpy(_word_vectors(encoder, tokenizer, words.shape[1], seed)))
    model.save_pretrained(out)
    _write_facts(encoder, address, shape, out)


def _write_facts(encoder: Encoder, address: str, shape: SmallShape, out: Path) -> None:
    import os

    family, _, place = address.rpartition(":")
    if Path(place).exists():
        relative = os.path.relpath(Path(place).resolve(), out.resolve())
        address = f"{family}:{relative if relative.startswith('.') else './' + relative}"
    path = out / "config.json"
    told = json.loads(path.read_text("utf-8"))
    told[VISION_FROM] = {
        "address": address,
        "weights_hash": encoder.card.weights_hash,
        "pool": shape.pool,
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    side = encoder.card.input_size
    processor = {
        "image_processor_type": "BlipImageProcessor",
        "size": {"height": side, "width": side},
    }
    text = json.dumps(processor, indent=1) + "\n"
    (out / "preprocessor_config.json").write_text(text, encoding="utf-8")


def _tokenizer(texts: Sequence[str], words: int) -> Any:
    """As of the compact encoder, with a token in front that stands for the whole text."""
    from tokenizers import processors

    made = make_tokenizer(texts, words=words, pieces=500)
    made.post_processor = processors.TemplateProcessing(
        single=f"{END} $A {END}", special_tokens=[(END, END_ID)]
    )
    return made


def _word_vectors(encoder: Encoder, tokenizer: Any, width: int, seed: int) -> Any:
    """Float32 ``[V, H]``: what the encoder makes of each token as a text, if it reads texts."""
    count = tokenizer.get_vocab_size()
    drawn = np.random.default_rng([seed, 3]).normal(0, _SPREAD, (count, width)).astype(np.float32)
    if not isinstance(encoder, TextEncoder):
        return drawn
    tokens = [tokenizer.id_to_token(number).removeprefix("##") for number in range(count)]
    vectors = np.concatenate(
        [
            encoder.text_features(tokens[start : start + 256]).vector
            for start in range(0, count, 256)
        ]
    )
    vectors -= vectors.mean(0)
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    kept = vectors @ directions[:width].T
    drawn[:, : kept.shape[1]] = kept * (_SPREAD / max(float(kept.std()), 1e-12))
    return drawn


class Matching(nn.Module):  # type: ignore[misc]
    """A Q-Former that learns which text is of which picture."""

    def __init__(self, net: QFormer) -> None:
        super().__init__()
        self.net = net.requires_grad_(True)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def forward(self, seen: Tensor, ids: Tensor) -> Tensor:
        """Similarities ``[B, B]``, picture by text, scaled: each the best of the K queries."""
        texts = nn.functional.normalize(self.net.read(ids), dim=-1)
        near: Tensor = gallery_scores(texts, self.net.look(seen)).T
        return near * self.log_scale.exp().clamp(max=MAX_SCALE)


def captioned(folders: Sequence[Path]) -> list[Pair]:
    """Pictures with texts: of sets of needle edits, or of folders with ``captions.jsonl``."""
    found: list[Pair] = []
    for folder in folders:
        if not (folder / EDITS_FILE).is_file():
            found += read_pairs([folder])
            continue
        found += [
            Pair(str(folder / one.file), None, one.caption, "whole")
            for one in load_edits(folder).pictures
            if one.caption
        ]
    return found


def train_matching(
    encoder: QFormerEncoder,
    pairs: Sequence[Pair],
    plan: Plan,
    batch: int,
    out: Path,
    cache: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Teach a Q-Former which text is of which picture, and save it; returns facts of its card.

    Args:
        encoder: learnt in place.
        pairs: pictures or pieces with texts.
        plan: steps, rates and seed.
        batch: pairs of a step.
        out: where the model goes.
        cache: where vision tokens lie.
        resume: go on from ``out/run``.
        stop_after: leave after so many steps of this call.
        say: told what goes on.
    """
    run = out / "run"
    run.mkdir(parents=True, exist_ok=True)
    keep_settings(_Matched(plan, batch), run, resume)
    pieces = list(dict.fromkeys(pair.piece for pair in pairs))
    feed = open_feed([(Path(path), box) for path, box in pieces], encoder, cache, say)
    lesson = _MatchingLesson(encoder, pairs, feed)

    def report(one: Progress) -> None:
        say(f"step {one.step:,} of {one.steps:,}: loss {one.loss:.3f}, {one.seconds:.0f} s")

    done = train(
        lesson.model,
        lesson,
        Batches([p.key for p in pairs], batch=min(batch, len(pairs)), run=1, seed=plan.seed),
        plan,
        run,
        resume=resume,
        stop_after=stop_after,
        report=report,
    )
    write_blip2(encoder, out)
    return {"recipe": plain(_Matched(plan, batch)), "steps_done": done, "pairs": len(pairs)}


@dataclass(frozen=True, slots=True)
class _Matched:
    plan: Plan
    batch: int


class _MatchingLesson:
    """The loss of a step."""

    def __init__(self, encoder: QFormerEncoder, pairs: Sequence[Pair], feed: CellFeed) -> None:
        self.model = Matching(encoder.net).to(encoder.device)
        self._pairs, self._feed, self._device = pairs, feed, encoder.device
        places = {piece: i for i, piece in enumerate(dict.fromkeys(p.piece for p in pairs))}
        self._places = np.array([places[pair.piece] for pair in pairs], np.int64)
        self._ids = encoder.tokenize([pair.text for pair in pairs])

    def __call__(self, indices: Indices, step: int) -> Tensor:
        some = [self._pairs[i] for i in indices]
        right, wrong = relations(
            [pair.meaning for pair in some], [f"{pair.source} {pair.box}" for pair in some]
        )
        seen = torch.from_numpy(self._feed(self._places[indices])).to(self._device)
        ids = torch.from_numpy(self._ids[indices]).to(self._device)
        near = self.model(seen, ids)
        return both_ways(near, *(torch.from_numpy(m).to(self._device) for m in (right, wrong)))
