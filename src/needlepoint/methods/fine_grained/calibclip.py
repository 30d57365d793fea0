"""CalibCLIP: vectors calibrated by what the pooling tokens attend to too much.

Contextual calibration of dominant semantics, arXiv 2510.05586: CVE moves a picture's vector
(``regions/dominant.py``), DCC a text's (``search/concepts.py``).
Shapes: N pictures or texts, D dim, E joint dim.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.card import Asked, Method, MethodCard, register
from needlepoint.methods.corpus import Reader, common_tokens, read_corpus
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import (
    Encoder,
    EncoderCard,
    Floats,
    ImageFeatures,
    TextEncoder,
    TextFeatures,
    VitEncoder,
)
from needlepoint.picture import Picture, Pixels
from needlepoint.regions.describe import Description
from needlepoint.regions.dominant import Layers, add_mean, enhance, enhance_released
from needlepoint.search.concepts import (
    Calibrated,
    add_mean_word,
    calibrate,
    calibrate_released,
    released_frequency,
    share_of,
)
from needlepoint.search.fusion import WHOLE

NAME = "calibclip"

#: what is changed by a question alone: a library need not be indexed anew for it
WHEN_ASKED = ("dcc", "lam", "temperature", "mu", "shortlist", "frequency", "corpus")

_PICTURES = 16  # projected tokens of so many pictures in memory at once

Part = Literal["yes", "no", "mean"]


@dataclass(frozen=True, slots=True)
class Options:
    """What may be told to CalibCLIP.

    ``mode`` ``default`` has no parameters beyond the encoder's and treats every item by itself;
    ``released`` is the authors' code, exact given its four untrained tensors. ``cve`` and ``dcc``
    switch the two parts off, or (``mean``) put the plain mean of all patches or words in their
    place, as a control.

    Pictures: ``rho`` is the weight of the context, ``rho_d`` that of the dominant patches taken
    away, ``percentile`` tells which are dominant. ``layers`` is ``untrained:SEED`` or a file with
    the four tensors. ``size`` (``384x128``, height first) squashes pictures; ``stride`` in pixels
    below the patch size makes patches overlap.

    Texts: ``lam`` is the weight of the words, ``temperature`` that of both softmaxes,
    ``frequency`` where common words are known from: ``documents`` or ``counts`` of the corpus,
    ``batch`` the texts asked together (released mode only, and there what ``counts`` is without a
    corpus); ``auto`` is ``documents``, in released mode ``batch``. ``corpus`` names a text file,
    one text a line, in place of the library's captions. With ``mu`` above 0 the best
    ``shortlist`` pictures are put in order again by the special words alone, mixed in with that
    share.
    """

    mode: Literal["default", "released"] = "default"
    cve: Part = "yes"
    dcc: Part = "yes"
    rho: float = 0.1
    rho_d: float = 0.0
    percentile: float = 90.0
    layers: str = "untrained:0"
    size: str = ""
    stride: int = 0
    lam: float = 0.5
    temperature: float = 0.01
    frequency: Literal["auto", "documents", "counts", "batch"] = "auto"
    corpus: str = ""
    mu: float = 0.0
    shortlist: int = 100

    def __post_init__(self) -> None:
        def need(good: bool, name: str, allowed: str) -> None:
            if not good:
                value = getattr(self, name)
                raise UsageError(f"method {NAME}: {name} is {value}. Allowed: {allowed}.")

        need(0 <= self.percentile <= 100, "percentile", "0 to 100")
        need(self.temperature > 0, "temperature", "above 0")
        need(0 <= self.mu <= 1, "mu", "0 to 1")
        need(self.shortlist >= 1, "shortlist", "1 or more")
        need(self.stride >= 0, "stride", "pixels, 0 for the patch size")
        need(self.size == "" or self.shape() is not None, "size", "HEIGHTxWIDTH, as 384x128")
        released = self.mode == "released"
        need(not released or self.rho_d == 0, "rho_d", "0 in released mode, which has none")
        need(not released or self.frequency != "documents", "frequency", "counts or batch")
        need(released or self.frequency != "batch", "frequency", "documents or counts")

    def shape(self) -> tuple[int, int] | None:
        """Height and width of ``size`` in pixels."""
        found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", self.size)
        return None if found is None else (int(found[1]), int(found[2]))

    def tensors(self, width: int, dim: int) -> Layers:
        """The four tensors for an encoder of width C and joint dim E.

        Raises:
            UsageError: neither ``untrained:SEED`` nor a file that fits.
        """
        seed = re.fullmatch(r"untrained:(\d+)", self.layers)
        if seed is not None:
            return Layers.untrained(width, dim, int(seed[1]))
        return Layers.read(Path(self.layers).expanduser())


def read(text: str) -> Options:
    """The options of a recipe.

    Example:
        >>> read("mode=released,size=384x128").shape()
        (384, 128)
    """
    return read_options(Options, text, NAME)


@dataclass(frozen=True, slots=True)
class CalibDescriber:
    """Pictures in one pass: one vector each, moved by CVE."""

    options: Options = Options()

    @property
    def recipe(self) -> str:
        """``calibclip`` and the options that are not the defaults."""
        return recipe_text(NAME, self.options)

    def side(self, card: EncoderCard) -> int:
        """Twice what the encoder sees."""
        return 2 * max(card.input_size, *(self.options.shape() or (0,)))

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """One vector a picture in the encoder's first space; nothing else is kept.

        Raises:
            UsageError: the encoder is no Vision Transformer on torch, or cannot be run at
                ``size`` and ``stride``.
        """
        space, found = encoder.card.spaces[0].name, []
        for start in range(0, len(pictures), _PICTURES):
            some = [picture.pixels for picture in pictures[start : start + _PICTURES]]
            for row in self.vectors(encoder, some):
                nothing = np.zeros((0, len(row)), np.float32)
                boxes = np.zeros((0, 4), np.float32)
                found.append([Description(space, row, nothing, boxes)])
        return found

    def vectors(self, encoder: Encoder, pictures: Sequence[Pixels]) -> Floats:
        """Vectors float32 ``[N, E]`` of N pictures, unit length."""
        options = self.options
        if options.cve == "no":
            return self._features(encoder, pictures, frozenset()).vector
        if options.cve == "mean":
            features = self._features(encoder, pictures, frozenset({"joint"}))
            assert features.joint is not None
            return add_mean(features.vector, features.joint, options.rho)
        if options.mode == "default":
            features = self._features(encoder, pictures, frozenset({"joint", "pooling"}))
            assert features.joint is not None
            return enhance(
                features.vector,
                features.joint,
                _head_mean(features),
                rho=options.rho,
                rho_d=options.rho_d,
                percentile=options.percentile,
            )
        wanted = frozenset({"final", "pooling", "length"})
        features = self._features(encoder, pictures, wanted)
        assert features.final is not None
        return enhance_released(
            _unscaled(features),
            features.final,
            _head_mean(features),
            options.tensors(features.final.shape[2], features.vector.shape[1]),
            rho=options.rho,
            percentile=options.percentile,
        ).vectors

    def _features(
        self, encoder: Encoder, pictures: Sequence[Pixels], want: frozenset[str]
    ) -> ImageFeatures:
        shape, stride = self.options.shape(), self.options.stride
        if not want and shape is None and not stride:
            return encoder.image_features(pictures)
        if not isinstance(encoder, VitEncoder):
            raise UsageError(
                f"method {NAME} reads what the pooling token attends to, and "
                f"{encoder.card.address} cannot tell. Use an open_clip or hf encoder with a plain "
                "vision transformer, or cve=no."
            )
        return encoder.image_features(pictures, want=want, size=shape, stride=stride)


def ask(encoder: Encoder, texts: Sequence[str], options: str, corpus: Sequence[str]) -> Asked:
    """N texts as vectors moved by DCC; see ``Asks``.

    In default mode nothing depends on the other texts. In released mode with ``frequency=batch``
    (as released) every vector depends on all texts of the call.

    Args:
        encoder: one with a text tower of its own on torch, unless ``dcc=no``.
        texts: the questions.
        options: as in a recipe.
        corpus: texts that tell which words are common; ``corpus=FILE`` goes before them. Without
            any, default mode cannot tell and leaves questions as they are, with a warning.

    Raises:
        UsageError: no text tower on torch; in released mode, text tokens as wide as the joint
            space are needed.
    """
    chosen = read(options)
    if not isinstance(encoder, TextEncoder):
        raise UsageError(f"{encoder.card.address} has no words. Ask with a picture.")
    if chosen.dcc == "no" and chosen.mu == 0:
        return Asked(encoder.text_features(texts).vector)
    if not isinstance(encoder, Reader):
        raise UsageError(
            f"method {NAME} reads what the end of a text attends to, and {encoder.card.address} "
            "cannot tell. Use an open_clip or hf encoder with words, or dcc=no and mu=0."
        )
    features = encoder.text_features(texts, want=_TEXT_WANTS)
    assert features.joint is not None
    assert features.words is not None
    vectors = features.vector
    if chosen.dcc == "mean":
        vectors = add_mean_word(vectors, features.joint, features.words, chosen.lam)
        if chosen.mu == 0:
            return Asked(vectors)
    known = read_corpus(chosen.corpus, NAME) if chosen.corpus else corpus
    made = (_released if chosen.mode == "released" else _default)(encoder, features, chosen, known)
    if made is None:
        return Asked(vectors)
    if chosen.dcc == "yes":
        vectors = made.vectors
    if chosen.mu == 0:
        return Asked(vectors)
    lengths = np.linalg.norm(made.special_mean, axis=1, keepdims=True)
    special = (made.special_mean / np.maximum(lengths, 1e-12)).astype(np.float32)
    second: Floats = np.where(lengths > 0, special, vectors)  # without words: as before
    return Asked(vectors, second, chosen.mu, chosen.shortlist)


_TEXT_WANTS = frozenset({"joint", "final", "pooling", "length", "ids", "ends", "words"})


def _default(
    encoder: Reader, features: TextFeatures, chosen: Options, corpus: Sequence[str]
) -> Calibrated | None:
    """``calibrate`` with a table of the corpus; None where there is no corpus."""
    if not corpus:
        warnings.warn(
            f"method {NAME}: no captions and no corpus=FILE tell which words are common, so texts "
            "are asked as they are",
            stacklevel=3,
        )
        return None
    assert features.joint is not None
    assert features.ids is not None
    assert features.words is not None
    table = common_tokens(
        encoder, corpus, "counts" if chosen.frequency == "counts" else "documents"
    )
    return calibrate(
        features.vector,
        features.joint,
        _head_mean(features),
        share_of(table, features.ids),
        features.words,
        lam=chosen.lam,
        temperature=chosen.temperature,
    )


def _released(
    encoder: Reader, features: TextFeatures, chosen: Options, corpus: Sequence[str]
) -> Calibrated:
    """``calibrate_released`` with frequencies of the corpus, or of the texts themselves."""
    assert features.final is not None
    assert features.ids is not None
    assert features.ends is not None
    counted = encoder.token_ids(corpus) if chosen.frequency == "counts" and corpus else None
    return calibrate_released(
        _unscaled(features),
        features.final,
        _head_mean(features),
        released_frequency(features.ids, counted),
        features.ends,
        lam=chosen.lam,
        temperature=chosen.temperature,
    )


def _head_mean(features: ImageFeatures | TextFeatures) -> Floats:
    """What the pooling token pays each patch or token, float32 ``[N, P]``."""
    assert features.pooling is not None
    mean: Floats = features.pooling.mean(axis=1)
    return mean


def _unscaled(features: ImageFeatures | TextFeatures) -> Floats:
    """Vectors before they were normalised, float32 ``[N, E]``."""
    assert features.length is not None
    pooled: Floats = features.vector * features.length[:, None]
    return pooled


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="CalibCLIP: contextual calibration of dominant semantics",
            paper="arXiv 2510.05586 (ACM MM 2025); abstract, captions and code were read, the "
            "nine equations were not available",
            year=2025,
            task="fine-grained",
            parts=(
                "CVE: whole vector moved towards context patches (and away from dominant ones)",
                "DCC: text vector moved towards rare attended words, away from common ones",
                "Reranker: the special words alone, on a shortlist (mu)",
            ),
            recipe="calibclip*",
            needs=("attention", "tokens"),
            stores="1 whole vector",
            passes="1",
            evidence="own reading",
            parameters={
                "mode": "default: ours, no parameters beyond the encoder's, every item by itself; "
                "released: the authors' code, exact given its four linear tensors",
                "cve": "yes; no; mean: add the mean patch token (control, ours)",
                "dcc": "yes; no; mean: add the mean word token (control, ours)",
                "rho": "0.1 (authors' code)",
                "rho_d": "0, weight of dominant patches taken away (ours; suppression proper)",
                "percentile": "90 (authors' code)",
                "layers": "untrained:SEED, or an .npz or .safetensors file with context, "
                "context_bias, gate, gate_bias; no trained ones were published",
                "size": "the encoder's own; 384x128 in the authors' code",
                "stride": "0: the patch size; less overlaps (open_clip's own towers)",
                "lam": "0.5 (authors' code)",
                "temperature": "0.01 (authors' code)",
                "frequency": "default mode: documents of the corpus that hold a token (ours), or "
                "counts, log(1 + n); released mode: batch (authors' code when no corpus is given) "
                "or counts of the corpus",
                "corpus": "the library's captions, or a text file",
                "mu": "0: no re-ranking; share of the special words in the second score. The "
                "authors' class that does so mixes with 0.5 over the whole gallery",
                "shortlist": "100 (authors' code, where it has no effect)",
            },
            disagreements=(
                "The README expands the acronyms as Calibrated Vision Encoder and Dual Curriculum "
                "Contrastive Learning, with curriculum epochs, dropout, 2 layers and temperature "
                "0.07. None of it is in the code, whose docstrings follow the paper's names. Its "
                "configuration and `build_calibclip(pretrained=…, embed_dim=…)` do not match the "
                "functions.",
                "Training-free, says the paper. The code sends the context through freshly "
                "initialised linear layers and a gate, for which no weights are published, so "
                "results depend on the random seed and leave the joint space.",
                "The paper suppresses dominant tokens. The code leaves them out of a sum that it "
                "adds, and takes nothing away (here: rho_d).",
                "The paper separates general from discriminative concepts. The code compares "
                "token counts of the batch, padding included, so that a score depends on which "
                "captions share a batch; padding keeps weight in both softmaxes.",
                "The code adds text tokens that went through no projection to a vector that did. "
                "It runs only where the text is as wide as the joint space.",
                "The class called two-stage mixes scores over the whole gallery; its top_k = 100 "
                "is not used, nor is the class by the evaluation script. Here the list is cut.",
                "Positions are resized only when the number of patches differs, here when the "
                "shape of the grid does. Attention is read with sequence-first tensors: right for "
                "OpenAI's package, silently wrong on open_clip's.",
                "The published gains (CUHK-PEDES R@1 66.54 to 71.88) start from fine-tuned "
                "models; the script loads raw OpenAI weights and no checkpoint is published, so "
                "the table cannot be had from the repository. It was not tried here.",
                "`calibclip/init.py` is not `__init__.py`, so the import in the README fails. The "
                "README says MIT; the licence file is empty. Several modules are never used.",
            ),
            places=False,
        ),
        describer=lambda options: CalibDescriber(read(options)),
        fusion=lambda options, card: WHOLE,
        asks=ask,
        when_asked=WHEN_ASKED,
    )
)
