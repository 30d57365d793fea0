"""Vectors turned back into what a frozen tower reads: pictures into pseudo-words (OTI), texts into
pseudo-patches (OVI), by gradient descent (Mistretta et al., ICLR 2025, arXiv 2502.04263).

Shapes: N vectors, R pseudo-words or pseudo-patches of each, D joint dim, C token or patch width,
P patches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from needlepoint.encoders.slots import Slots
from needlepoint.encoders.text import PLACEHOLDER
from needlepoint.encoders.torch_tools import array, unit
from needlepoint.encoders.vit import TorchClip
from needlepoint.errors import UsageError
from needlepoint.parts import Encoder, Floats

Tensor = Any

Phrases = Sequence[Sequence[tuple[str, str]]]
"""For each vector, sentences with ``{}`` and the word that the pseudo-word stands for there."""

SPREAD = 0.02
"""Standard deviation that pseudo-words and pseudo-patches start from."""


@dataclass(frozen=True, slots=True)
class Inversion:
    """How a vector is inverted; the defaults are those of OTI.

    Attributes:
        steps: of AdamW, at learning rate ``rate`` and weight decay ``decay``.
        words: R, pseudo-words (or pseudo-patches) for a vector.
        batch: vectors optimised side by side; changes no result.
        ema: share of the running mean that is kept at each step; 0 keeps the last step itself.
        templates: sentences with ``{}``; of several, one is drawn for each step.
        text_noise_std: deviation of normal noise added to each number of the unit vector of the
            sentence (iSEARLE); 0 for none.
        phrase_weight: of the loss on ``phrases`` (SEARLE), where there are any.
        seed: of all that is drawn, together with the vector itself.
    """

    steps: int = 150
    rate: float = 0.02
    decay: float = 0.01
    words: int = 1
    batch: int = 64
    ema: float = 0.0
    templates: tuple[str, ...] = ("a photo of {}",)
    text_noise_std: float = 0.0
    phrase_weight: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "words", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")
        for name in ("rate", "decay", "text_noise_std", "phrase_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{name}: must be 0 or more, received {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema: must be at least 0 and below 1, received {self.ema}")
        if not self.templates or any(PLACEHOLDER not in text for text in self.templates):
            raise UsageError(
                f"templates: each must hold {PLACEHOLDER}, received {list(self.templates)}"
            )


def invert_pictures(
    encoder: Encoder,
    vectors: Floats,
    options: Inversion | None = None,
    *,
    phrases: Phrases = (),
    progress: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Pseudo-words that make a sentence come to each vector: textual inversion.

    What is drawn for a vector follows from the vector and the seed, so that the others in its
    batch and their order change nothing but the last bits.

    Args:
        encoder: with the ability ``inject``; its weights are not touched.
        vectors: float32 ``[N, D]``, of pictures as a rule.
        options: see there; those of OTI where left out.
        phrases: sentences and words for each vector, one drawn a step: the sentence with the
            pseudo-word is to stay near to the sentence with the word (SEARLE, second loss).
        progress: told how many vectors are done, after each batch.

    Returns:
        float32 ``[N, R, C]``.

    Raises:
        UsageError: the encoder takes no pseudo-words, or shapes that do not fit.

    Example:
        >>> invert_pictures(encoder, encoder.encode_image(paths)).shape  # doctest: +SKIP
        (2, 1, 512)
    """
    options = options or Inversion()
    slots = Slots(encoder)
    vectors = _checked(vectors, encoder)
    if phrases and len(phrases) != len(vectors):
        raise UsageError(f"phrases: {len(phrases)} lists for {len(vectors)} vectors")
    if any(not some for some in phrases):
        raise UsageError("phrases: every vector needs at least one")
    templates = [_widened(text, options.words) for text in options.templates]
    meant: dict[tuple[str, str], Tensor] = {}

    def loss_of(rows: slice, noise: Sequence[_Noise]) -> Callable[[Tensor], Tensor]:
        target = _on(encoder, vectors[rows])
        known = phrases[rows]
        shared = np.random.default_rng(options.seed)  # the same in every batch

        def loss(tokens: Tensor) -> Tensor:
            put = tokens if options.words > 1 else tokens[:, 0]  # one may stand in several places
            template = templates[int(shared.integers(len(templates)))]
            read = slots.fill([template] * len(noise), put)
            if options.text_noise_std:
                spread = _on(encoder, np.stack([one.normal(read.shape[1]) for one in noise]))
                read = torch.nn.functional.normalize(read, dim=-1) + options.text_noise_std * spread
            missed = 1 - torch.cosine_similarity(read, target)
            if not known:
                return missed
            drawn = [one.of(some) for one, some in zip(noise, known, strict=True)]
            said = slots.fill([_widened(text, options.words) for text, _ in drawn], put)
            new = [pair for pair in dict.fromkeys(drawn) if pair not in meant]
            if new:
                with torch.no_grad():
                    seen = slots.read([text.replace(PLACEHOLDER, word) for text, word in new])
                meant.update(zip(new, seen, strict=True))
            words = torch.stack([meant[pair] for pair in drawn])
            strayed = 1 - torch.cosine_similarity(said, words)
            return (missed + options.phrase_weight * strayed) / (1 + options.phrase_weight)

        return loss

    return _descended(encoder, vectors, slots.width, options, loss_of, progress)


def invert_texts(
    encoder: Encoder,
    vectors: Floats,
    options: Inversion | None = None,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Pseudo-patches that make the image tower come to each vector: visual inversion.

    Args:
        encoder: with a plain ViT and words in one space; its weights are not touched.
        vectors: float32 ``[N, D]``, of texts as a rule.
        options: 1000 steps where left out; ``words`` counts patches. Templates are not used.
        progress: told how many vectors are done, after each batch.

    Returns:
        float32 ``[N, R, C]``, which ``see_patches`` makes vectors of.

    Raises:
        UsageError: another kind of encoder, more pseudo-patches than patches.
    """
    options = options or Inversion(steps=1000)
    vectors = _checked(vectors, encoder)
    patches = Patches(encoder)

    def loss_of(rows: slice, noise: Sequence[_Noise]) -> Callable[[Tensor], Tensor]:
        target = _on(encoder, vectors[rows])
        return lambda made: 1 - torch.cosine_similarity(patches.see(made), target)

    return _descended(encoder, vectors, patches.width, options, loss_of, progress)


def see_patches(encoder: Encoder, patches: Floats) -> Floats:
    """Vectors float32 ``[N, D]``, unit length, of pseudo-patches float32 ``[N, R, C]``."""
    with torch.no_grad(), _precision(encoder):
        return unit(Patches(encoder).see(_on(encoder, patches)))


class Patches:
    """A frozen image tower that sees made-up patches; gradients flow through.

    Args:
        encoder: with a plain ViT and words in one space.

    Raises:
        UsageError: another kind of encoder.
    """

    def __init__(self, encoder: Encoder) -> None:
        if not isinstance(encoder, TorchClip):
            raise UsageError(
                f"{encoder.card.address} cannot be given made-up patches: that needs a plain "
                "vision transformer and words in its space. Choose another --model (needlepoint "
                "models): open_clip: ViT, hf: CLIP and SigLIP."
            )
        self._tower, self.width = encoder.tower, encoder.tower.width
        side = encoder.card.input_size // encoder.card.patch
        self.grid = side, side

    def see(self, patches: Tensor) -> Tensor:
        """Vectors ``[N, D]``, not normalised, of R patches ``[N, R, C]``, each seen P / R times."""
        count, (rows, cols) = patches.shape[1], self.grid
        if not 1 <= count <= rows * cols:
            raise UsageError(f"patches: received {count}, allowed are 1 … {rows * cols}")
        nearest = torch.arange(rows * cols) * count // (rows * cols)
        tokens, context = self._tower.place(patches[:, nearest], self.grid)
        for block in self._tower.blocks:
            tokens = self._tower.run(block, tokens, context)
        return self._tower.pool(tokens).float()


class _Noise:
    """What is drawn for one vector, in the order it is asked for."""

    def __init__(self, vector: Floats, seed: int) -> None:
        # the last bits of a vector hang on what was encoded beside it
        coarse = np.rint(1000 * vector / max(float(np.linalg.norm(vector)), 1e-12))
        mark = hashlib.blake2b(coarse.astype(np.int16).tobytes(), digest_size=16).digest()
        self._drawn = np.random.default_rng([seed, int.from_bytes(mark, "little")])

    def normal(self, *shape: int) -> Floats:
        return self._drawn.standard_normal(shape, dtype=np.float32)

    def of(self, choices: Sequence[Any]) -> Any:
        """One of several; nothing is drawn where there is one."""
        return choices[int(self._drawn.integers(len(choices))) if len(choices) > 1 else 0]


def _descended(
    encoder: Any,
    vectors: Floats,
    width: int,
    options: Inversion,
    loss_of: Callable[[slice, Sequence[_Noise]], Callable[[Tensor], Tensor]],
    progress: Callable[[int], None],
) -> Floats:
    """AdamW on ``[n, R, C]`` for each batch of vectors, each vector by itself."""
    found = np.empty((len(vectors), options.words, width), np.float32)
    for start in range(0, len(vectors), options.batch):
        rows = slice(start, start + options.batch)
        noise = [_Noise(vector, options.seed) for vector in vectors[rows]]
        begun = SPREAD * np.stack([one.normal(options.words, width) for one in noise])
        with torch.inference_mode(False), torch.enable_grad(), _precision(encoder):
            value = _on(encoder, begun).requires_grad_()
            kept = value.detach().clone()
            optimiser = torch.optim.AdamW([value], lr=options.rate, weight_decay=options.decay)
            loss = loss_of(rows, noise)
            for _ in range(options.steps):
                # a sum, not a mean: a vector's gradient does not depend on the size of its batch
                (value.grad,) = torch.autograd.grad(loss(value).sum(), value)
                optimiser.step()
                kept.lerp_(value.detach(), 1 - options.ema)
        found[rows] = array(kept)
        progress(min(start + options.batch, len(vectors)))
    return found


def _precision(encoder: Any) -> Any:
    """The precision the card names, as for all other passes."""
    half = encoder.card.extra.get("precision") == "bf16"
    return torch.autocast(encoder.device.type, torch.bfloat16, enabled=half)


def _on(encoder: Any, rows: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows)).to(encoder.device)


def _checked(vectors: Floats, encoder: Encoder) -> Floats:
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != encoder.card.dim:
        raise UsageError(
            f"vectors: must be [N, {encoder.card.dim}], received {list(vectors.shape)}"
        )
    return vectors


def _widened(text: str, words: int) -> str:
    """The sentence with as many places as there are pseudo-words."""
    return text.replace(PLACEHOLDER, " ".join([PLACEHOLDER] * words))
