"""CLIP4Cir (Baldrati et al. 2023, arXiv 2308.11485): a trained network joins picture and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from needlepoint.errors import LibraryIncompatible, ModelUnavailable
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composing import (
    Change,
    Composed,
    Sight,
    need_joint,
    query_probe,
    reference_probe,
    text_vectors,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.parts import EncoderCard, Floats, TextEncoder

if TYPE_CHECKING:
    from needlepoint.encoders.combiner import CombinerNet

_CHECKOUT = Path(__file__).resolve().parents[4] / "weights" / "composed"


@dataclass(frozen=True, slots=True)
class Options:
    """``combiner:weights=FOLDER``, a model of ``needlepoint train combiner``.

    Without it, the one that lies in a checkout for the compact encoder.
    """

    weights: str = ""


class TrainedCombiner:
    """A trained network at work: one query vector a question.

    Args:
        method: the method's name, for what is told of errors.
        model: the network.
        made: what its features were made with: ``encoder`` and ``fingerprint``.
    """

    def __init__(self, method: str, model: CombinerNet, made: dict[str, str]) -> None:
        self._method, self._model, self._made = method, model, made

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """The reference alone where nothing is to change; else what the network makes of both.

        Raises:
            LibraryIncompatible: the library's vectors are not those the network was trained on.
        """
        need_joint(view, self._method)
        card = view.encoder.card
        if not self.suits(card):
            raise LibraryIncompatible(
                f"this {self._method} was trained on vectors of "
                f"{self._made.get('encoder') or 'another encoder'}; the library has those of "
                f"{card.address}. Train one on its vectors (needlepoint train), or ask another "
                "--model."
            )
        return [self._one(change, view) for change in changes]

    def suits(self, card: EncoderCard) -> bool:
        """Whether the network was trained on an encoder's vectors."""
        return card.fingerprint() == self._made.get("fingerprint")

    def _one(self, change: Change, view: Sight) -> Composed:
        import torch

        picture = reference_probe(change, view)
        if not change.text:
            return Composed((picture,), ("the picture",))
        vectors = (picture.vector, text_vectors([change.text], view)[0])
        if self._model.shape.lengths == "raw":
            vectors = _raw(change, view)
        with torch.inference_mode():
            found = self._model(*(torch.from_numpy(one)[None] for one in vectors))
        told = _told(found, self._model)
        return Composed((query_probe(picture, found.query[0].numpy()),), ("both",), told)


class FromCheckout:
    """The network that lies in a checkout, where it was trained on the encoder's vectors."""

    def __init__(self, method: str, command: str) -> None:
        self._method, self._command = method, command

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """As ``TrainedCombiner``.

        Raises:
            ModelUnavailable: there is none for this encoder.
        """
        need_joint(view, self._method)
        card = view.encoder.card
        folder = _CHECKOUT / f"{self._method}-s0"
        trained = _opened(self._method, folder) if folder.is_dir() else None
        if trained is None or not trained.suits(card):
            raise ModelUnavailable(
                f"method {self._method} needs weights for the vectors of {card.address}, and none "
                f"are at hand: {self._method}:weights=FOLDER, as `{self._command}` writes it."
            )
        return trained.compose(changes, view)


def _raw(change: Change, view: Sight) -> tuple[Floats, Floats]:
    """Mean of the references and the words with the lengths the encoder gives them."""
    from needlepoint.encoders.raw import image_lengths, text_lengths

    encoder = view.encoder
    assert isinstance(encoder, TextEncoder)  # text_vectors has asked for it
    vectors, lengths = image_lengths(encoder, [view.pixels_of(p) for p in change.references])
    weights = np.array([part.weight for part in change.references], np.float32)
    picture = ((vectors * lengths[:, None]) * weights[:, None]).sum(0) / weights.sum()
    (words,), (length,) = text_lengths(encoder, [change.text])
    return picture, words * length


def _told(found: Any, model: CombinerNet) -> tuple[tuple[str, str], ...]:
    """Shares of picture and words, and the weights of attributes, where there are any."""
    told: list[tuple[str, str]] = []
    if found.share is not None:
        share = float(found.share[0])
        told += [("picture", f"share {1 - share:.2f}"), ("words", f"share {share:.2f}")]
    if found.weights is not None and model.attributes is not None:
        pairs = zip(model.attributes.names, found.weights[0].tolist(), strict=True)
        told += [(name, f"weight {weight:.2f}") for name, weight in pairs]
    return tuple(told)


def open_trained(method: str, weights: str, command: str) -> TrainedCombiner | FromCheckout:
    """The network of a folder at work.

    Args:
        method: the method's name.
        weights: the folder; empty for the one of a checkout.
        command: what makes such a folder.

    Raises:
        ModelUnavailable: torch is not installed, or there is no model in the folder.
    """
    return _opened(method, Path(weights).expanduser()) if weights else FromCheckout(method, command)


def _opened(method: str, folder: Path) -> TrainedCombiner:
    try:
        from needlepoint.encoders.combiner import load_combiner
    except ImportError as error:
        raise ModelUnavailable(
            f"{method} needs {error.name}, which is not installed: pip install 'needlepoint[torch]'"
        ) from error
    model, told = load_combiner(folder)
    return TrainedCombiner(method, model, told.get("features", {}))


def composer(options: str, helpers: Helpers) -> TrainedCombiner | FromCheckout:
    """The method with its weights; raises as ``open_trained``."""
    weights = read_options(Options, options, "combiner").weights
    return open_trained("combiner", weights, "needlepoint train combiner")


CARD = register(
    Method(
        MethodCard(
            name="combiner",
            title="CLIP4Cir (Combiner)",
            paper="arXiv 2308.11485 (ACM TOMM 2023)",
            year=2023,
            task="composed",
            parts=("composer", "trainer: both towers first, then the Combiner"),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="one of the text tower a question",
            evidence="authors' code",
            parameters={
                "weights": "folder of a model of one's own (needlepoint train combiner)",
                "projection": "4 D (authors' code), a choice of training",
                "hidden": "8 D (authors' code), a choice of training",
                "dropout": "0.5 (authors' code)",
                "temperature": "0.01, fixed (authors' code)",
                "rate": "2e-5, Adam (authors' code)",
                "lengths": "unit (ours): a library keeps unit vectors; raw as published",
            },
            disagreements=(
                "The published Combiner is given vectors of the length the encoder made them; a "
                "library keeps unit vectors, so these are the default. Trained with raw lengths, "
                "the reference is encoded again at every question.",
                "In the authors' loss every other target of a batch is wrong; here one that "
                "is a labelled answer, or the same picture, is neither right nor wrong.",
            ),
        ),
        composer=composer,
    )
)
