"""``hf:`` BLIP-2 with the image-text-retrieval head: pictures as K vectors, and composed questions.

A folder's vision tower may also be another encoder's (``vision_from`` in its ``config.json``): the
Q-Former then looks at the final patch tokens of that one. That is how small models are trained
here; transformers reads such a folder too, but not the tower it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from needlepoint.encoders import weights
from needlepoint.encoders.address import Address
from needlepoint.encoders.attributes import AttributeWeights
from needlepoint.encoders.convenience import EncodesImages, EncodesTexts
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.qformer_net import Base, QFormer
from needlepoint.encoders.torch_tools import OnTorch, array, check_wants, no_gradient, ready, unit
from needlepoint.encoders.towers import Tokenize
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.parts import (
    Composing,
    Encoder,
    EncoderCard,
    Floats,
    ImageFeatures,
    SpaceCard,
    TextFeatures,
)
from needlepoint.picture import Pixels

CONTEXT = 32
"""Tokens of a text at most, as BLIP-2 was trained (SPRC and QuRe keep it)."""

VISION_FROM = "vision_from"

COMPOSER, COMPOSER_WEIGHTS = "composer.json", "composer.safetensors"
"""What a folder was trained for besides BLIP-2's own tasks, and what that added to it."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a folder was trained for: ``method`` is empty for BLIP-2 as released.

    ``base`` says which passes; ``attributes`` are the weights of DQE-CIR, None for other methods.
    """

    method: str = ""
    base: Base = "qure"
    attributes: AttributeWeights | None = None


class Sight(Protocol):
    """Pictures uint8 ``[H, W, 3]`` to vision tokens ``[N, P, C]``; frozen."""

    told: str
    """What the tokens depend on, in one line: files of them are known by it."""

    def __call__(self, pictures: Sequence[Pixels]) -> Tensor: ...


class OwnSight:
    """BLIP-2's vision tower with its final norm (``ln_vision``), class token included."""

    def __init__(self, tower: Any, preprocess: Preprocess, weights: str) -> None:
        self._tower, self.preprocess, self._weights = tower, preprocess, weights
        self.told = f"{weights} {preprocess}"

    def padded(self, ratio: float) -> OwnSight:
        """The same with pictures padded to a shape, resized and cropped (``pad_ratio``)."""
        size = self.preprocess.size
        changed = replace(
            self.preprocess,
            rule="shortest-crop",
            shortest=size,
            rounding="half-even",
            pad_ratio=ratio,
        )
        return OwnSight(self._tower, changed, self._weights)

    def __call__(self, pictures: Sequence[Pixels]) -> Tensor:
        pixels = torch.from_numpy(self.preprocess.batch(pictures))
        device = self._tower.post_layernorm.weight.device
        seen: Tensor = self._tower(pixel_values=pixels.to(device)).last_hidden_state
        return seen


class LentSight:
    """The final patch tokens of another encoder, ``pool`` by ``pool`` of them averaged."""

    def __init__(self, encoder: Encoder, pool: int) -> None:
        self._encoder, self._pool = encoder, pool
        self.told = f"{encoder.card.fingerprint()} final pool {pool}"

    def __call__(self, pictures: Sequence[Pixels]) -> Tensor:
        features = self._encoder.image_features(pictures, want=frozenset({"final"}))
        assert features.final is not None
        assert features.grid is not None
        seen = torch.from_numpy(features.final)
        if self._pool == 1:
            return seen
        square = seen.transpose(1, 2).unflatten(2, features.grid)
        pooled = torch.nn.functional.avg_pool2d(square, self._pool, ceil_mode=True)
        return pooled.flatten(2).transpose(1, 2).contiguous()


class QFormerEncoder(OnTorch, EncodesImages, EncodesTexts):
    """Pictures as K unit vectors each, texts, and pictures with changes in words.

    A picture's score for a question is the highest of its K (``token_vectors``). ``vector``, the
    one that is kept of every picture whatever the method, is their mean at unit length: ours, for
    searches that know of no more than one. ``model`` is what transformers has loaded, ``folder``
    where from.
    """

    def __init__(
        self,
        card: EncoderCard,
        sight: Sight,
        model: Any,
        learnt: Learnt,
        tokenize: Tokenize,
        folder: Path,
        device: str,
        threads: int | None,
    ) -> None:
        super().__init__(card, device, threads)
        self.sight, self.learnt, self.tokenize = sight, learnt, tokenize
        self.model, self.net, self.folder = model, QFormer(model).eval(), folder

    @no_gradient
    def token_vectors(self, pictures: Sequence[Pixels]) -> Floats:
        """Unit vectors float32 ``[N, K, E]`` of N pictures uint8 ``[H, W, 3]``."""
        return unit(self.net.look(self._seen(pictures)))

    @no_gradient
    def image_features(
        self, pictures: Sequence[Pixels], *, want: frozenset[str] = frozenset(), block: int = -1
    ) -> ImageFeatures:
        """Vectors float32 ``[N, E]`` of N pictures: the unit mean of their K; ``want`` is empty."""
        check_wants(want, frozenset())
        return ImageFeatures(vector=unit(self.net.look(self._seen(pictures)).mean(1)))

    @no_gradient
    def text_features(
        self, texts: Sequence[str], *, want: frozenset[str] = frozenset()
    ) -> TextFeatures:
        """Vectors float32 ``[N, E]`` of N texts; ``want`` is empty."""
        check_wants(want, frozenset())
        return TextFeatures(vector=unit(self.net.read(self.ids(texts))))

    @property
    def trained(self) -> str:
        """The method that composed questions were learnt with, empty for none."""
        return self.learnt.method

    @no_gradient
    def composed_vectors(
        self, pictures: Sequence[Pixels], texts: Sequence[str], how: Composing
    ) -> Floats:
        """Unit vectors float32 ``[N, E]`` of N pictures, each with its change in words.

        Args:
            pictures: N references uint8 ``[H, W, 3]``.
            texts: N changes; an empty one is allowed.
            how: ``sprc`` and ``qure`` are passes that any BLIP-2 can make (see
                ``QFormer.compose``); ``dqe_cir`` adds the attributes that were learnt.

        Raises:
            UsageError: not as many texts as pictures, or ``dqe_cir`` without attributes.
        """
        if len(pictures) != len(texts):
            raise UsageError(
                f"composed_vectors: {len(pictures)} pictures and {len(texts)} texts; give as many"
            )
        ids, seen = self.ids(texts), self._seen(pictures)
        if how != "dqe_cir":
            return unit(self.net.compose(seen, ids, how))
        base = self.net.compose(seen, ids, self.learnt.base)
        return unit(self._attributes()(base, self._words(ids)).query)

    @no_gradient
    def attribute_weights(self, texts: Sequence[str]) -> dict[str, Floats]:
        """How much each attribute counts for N changes, float32 ``[N]`` by its name."""
        module = self._attributes()
        weights = array(module.weights(self._words(self.ids(texts))))
        return {name: weights[:, i] for i, name in enumerate(module.names)}

    def _attributes(self) -> AttributeWeights:
        if self.learnt.attributes is None:
            raise UsageError(
                f"{self.card.address} has learnt no attribute weights. Train them: "
                "needlepoint train qformer --method dqe_cir."
            )
        return self.learnt.attributes

    def _words(self, ids: Tensor) -> Tensor:
        return torch.nn.functional.normalize(self.net.read(ids), dim=-1)

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids int64 ``[N, L]`` on the encoder's device."""
        found: Tensor = self.tensor(self.tokenize(texts))
        return found

    def _seen(self, pictures: Sequence[Pixels]) -> Tensor:
        return self.sight(pictures).to(self.device)


def open_qformer(
    address: Address,
    folder: Path,
    facts: dict[str, Any],
    preprocess: Preprocess,
    tokenize: Tokenize,
    device: str,
    threads: int | None,
) -> Encoder:
    """The encoder of a BLIP-2 folder whose files are known to be there.

    Raises:
        ModelUnavailable: weights are missing, or the tower that ``vision_from`` names is another.
    """
    config = weights.read_json(folder / "config.json")
    model = _load(folder, address, device)
    lent = config.get(VISION_FROM)
    sight: Sight
    if lent is None:
        tower = model.vision_model
        patch = int(model.config.vision_config.patch_size)
        sight = OwnSight(tower, preprocess, facts["weights_hash"])
    else:
        sight, seen = _lent(lent, folder, device)
        patch = seen.patch
        shared = ("input_size", "resize", "mean", "std", "interpolation")
        facts |= {name: getattr(seen, name) for name in shared}
        facts["extra"] = {**facts["extra"], "vision": sight.told}
    dim = int(model.config.image_text_hidden_size)
    card = EncoderCard(
        **facts,
        dim=dim,
        spaces=(SpaceCard("joint", dim, "i8", ("image", "text")),),
        languages=("en",),
        canonical="blip",
        padding="max_length",
        context=CONTEXT,
        patch=patch,
        abilities=("text", "queries"),
        limits="one vector a picture is the mean of its K; --method qformer keeps them all",
    )
    learnt = _learnt(folder, device)
    return QFormerEncoder(card, sight, model, learnt, tokenize, folder, device, threads)


def _load(folder: Path, address: Address, device: str) -> Any:
    from transformers import Blip2ForImageTextRetrieval
    from transformers.utils import logging

    logging.disable_progress_bar()
    model, report = Blip2ForImageTextRetrieval.from_pretrained(
        str(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    if absent := sorted(report["missing_keys"]):
        raise ModelUnavailable(
            f"model '{address}': the weights in {folder} lack {len(absent)} tensors, first "
            f"{absent[0]}; BLIP-2 is supported with its image-text-retrieval head "
            "(Blip2ForImageTextRetrieval), for example hf:Salesforce/blip2-itm-vit-g"
        )
    model.requires_grad_(False)
    return ready(model, device, address.precision)


def _lent(told: dict[str, Any], folder: Path, device: str) -> tuple[LentSight, EncoderCard]:
    from needlepoint.encoders.address import open_encoder

    family, place = lent_address(told, folder)
    encoder = open_encoder(f"{family}:{place}" if place else family, device=device)
    if encoder.card.weights_hash != told["weights_hash"]:
        raise ModelUnavailable(
            f"{folder} was trained on the vision tower of {told['address']} with weights "
            f"{told['weights_hash']}; those found there are {encoder.card.weights_hash}"
        )
    return LentSight(encoder, int(told["pool"])), encoder.card


def lent_address(told: dict[str, Any], folder: Path) -> tuple[str, str]:
    """The address that ``vision_from`` names: what stands before a local path, and that path.

    Paths in it are relative to the folder; the second is empty for an address without one.
    """
    family, _, place = str(told["address"]).rpartition(":")
    if not place.startswith("."):
        return str(told["address"]), ""
    return family, str((folder / place).resolve())


def _learnt(folder: Path, device: str) -> Learnt:
    """What composed training left in a folder."""
    if not (folder / COMPOSER).is_file():
        return Learnt()
    told = weights.read_json(folder / COMPOSER)
    try:
        if "attributes" not in told:
            return Learnt(told["method"], told["base"])
        from safetensors.torch import load_file

        module = AttributeWeights(**told["attributes"])
        module.load_state_dict(load_file(folder / COMPOSER_WEIGHTS))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelUnavailable(
            f"{folder}: {COMPOSER} and {COMPOSER_WEIGHTS} do not belong together ({error}); train "
            "the model again, or take both away to have BLIP-2 without them"
        ) from error
    module.requires_grad_(False)
    return Learnt(told["method"], told["base"], module.eval().to(device))
