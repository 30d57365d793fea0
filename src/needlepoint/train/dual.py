"""The compact dual encoder: its shape, its training, and its folder in open_clip's format.

The image tower is open_clip's ``VisionTransformer``, either plain or on the built-in network
(``encoders.stem``); the text tower is open_clip's own. Cells of the frozen stem are computed once,
so that a step costs only the transformers; a random part of the patches may be left out of a step
(Li et al. 2023, "Scaling Language-Image Pre-training via Masking").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from needlepoint.encoders.open_clip import CONFIG_FILE, WEIGHT_FILES
from needlepoint.encoders.open_clip_towers import image_tower, text_tower
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.stem import CHANNELS, KEY, stem_name
from needlepoint.encoders.torch_tools import pick
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.vocabulary import END_ID, save_tokenizer

Tensor = Any
CLEAN = "canonicalize"
"""How a text is written before it is tokenised: lower case, no punctuation."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of both towers: pixels, channels, blocks, heads, and tokens of a text."""

    image_tower: Literal["builtin-stem", "vit"] = "builtin-stem"
    size: int = 384
    patch: int = 32
    width: int = 256
    layers: int = 4
    heads: int = 4
    mlp_ratio: float = 2.0
    text_width: int = 256
    text_layers: int = 3
    text_heads: int = 4
    text_mlp_ratio: float = 2.0
    context: int = 32
    dim: int = 256

    def __post_init__(self) -> None:
        if self.image_tower not in ("builtin-stem", "vit"):
            raise UsageError(
                f"image_tower: must be builtin-stem or vit, received {self.image_tower!r}"
            )
        if self.image_tower == "builtin-stem" and self.patch != 32:
            raise UsageError(f"patch: must be 32 with the built-in stem, received {self.patch}")
        for whole, part in (("size", "patch"), ("width", "heads"), ("text_width", "text_heads")):
            if getattr(self, whole) % getattr(self, part):
                raise UsageError(
                    f"{whole}: must be a multiple of {part} ({getattr(self, part)}), received "
                    f"{getattr(self, whole)}"
                )

    @property
    def patches(self) -> int:
        """Patches of a picture."""
        return (self.size // self.patch) ** 2

    def preprocess(self) -> Preprocess:
        """How pieces become the network's input: squashed, values 0 … 1."""
        return Preprocess(self.size, "squash", "bicubic", (0.0,) * 3, (1.0,) * 3)

    def config(self, vocabulary: int) -> dict[str, Any]:
        """What ``open_clip_config.json`` holds."""
        model = {
            "embed_dim": self.dim,
            "vision_cfg": {
                "image_size": self.size,
                "patch_size": self.patch,
                "width": self.width,
                "layers": self.layers,
                "head_width": self.width // self.heads,
                "mlp_ratio": self.mlp_ratio,
            },
            "text_cfg": {
                "context_length": self.context,
                "vocab_size": vocabulary,
                "width": self.text_width,
                "heads": self.text_heads,
                "layers": self.text_layers,
                "mlp_ratio": self.text_mlp_ratio,
                "pool_type": "eos",
                "eos_id": END_ID,
                "hf_tokenizer_name": "tokenizer.json",
                "tokenizer_kwargs": {"clean": CLEAN},
            },
        }
        told = {
            "model_cfg": model,
            "preprocess_cfg": {
                "mean": [0.0] * 3,
                "std": [1.0] * 3,
                "interpolation": "bicubic",
                "resize_mode": "squash",
            },
        }
        stem = self.image_tower == "builtin-stem"
        return {**told, KEY: stem_name()} if stem else told


class Dual(torch.nn.Module):  # type: ignore[misc]
    """Both towers, with temperature and bias.

    With the built-in stem the image tower takes cells ``[N, P, 1280]``, else pixels
    ``[N, 3, S, S]``.

    Args:
        shape: sizes of the towers.
        vocabulary: tokens of the tokenizer.
    """

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        import open_clip

        super().__init__()
        self.shape = shape
        told = shape.config(vocabulary)["model_cfg"]
        self.clip = open_clip.model.CLIP(**told, init_logit_bias=-10.0)
        if shape.image_tower == "builtin-stem":
            self.clip.visual.conv1 = torch.nn.Conv2d(CHANNELS, shape.width, 1, bias=False)
        self._images: Any = image_tower(self.clip.visual)
        self._texts: Any = text_tower(self.clip)

    @property
    def scale(self) -> Tensor:
        """The inverse temperature."""
        return self.clip.logit_scale.exp()

    def images(self, inputs: Tensor, kept: Tensor | None = None) -> Tensor:
        """Unit vectors ``[N, D]``; arguments as ``image_features``."""
        vectors = self.image_features(inputs, kept) @ self.clip.visual.proj
        return torch.nn.functional.normalize(vectors.float(), dim=-1)

    def texts(self, ids: Tensor) -> Tensor:
        """Unit vectors ``[N, D]`` of token ids int64 ``[N, L]``, padded with 0."""
        vectors = self.text_features(ids) @ self.clip.text_projection
        return torch.nn.functional.normalize(vectors.float(), dim=-1)

    def image_features(self, inputs: Tensor, kept: Tensor | None = None) -> Tensor:
        """The class token ``[N, C]`` through the last norm, before the projection.

        Args:
            inputs: cells ``[N, K, 1280]`` of the kept patches, or whole pixels ``[N, 3, S, S]``.
            kept: int64 ``[N, K]``, the patches that are seen; None for all.
        """
        visual = self.clip.visual
        if inputs.ndim == 3:
            patches = torch.nn.functional.linear(inputs, visual.conv1.weight[:, :, 0, 0])
        else:
            patches = visual.conv1(inputs).flatten(2).transpose(1, 2)
            if kept is not None:
                patches = patches.gather(1, kept[:, :, None].expand(-1, -1, patches.shape[2]))
        positions = visual.positional_embedding
        placed = positions[1:] if kept is None else positions[1:][kept]
        first = (visual.class_embedding + positions[0]).expand(len(patches), 1, -1)
        tokens = visual.ln_pre(torch.cat((first.to(patches.dtype), patches + placed), dim=1))
        for block in self._images.blocks:
            tokens = self._images.run(block, tokens, None)
        return visual.ln_post(tokens[:, 0])

    def text_features(self, ids: Tensor) -> Tensor:
        """The end token ``[N, C]`` of ids through the last norm, before the projection."""
        where = self._texts.where(ids)
        tokens = self._texts.start(self._texts.words(ids[:, : int(where.max()) + 1]))
        for block in self._texts.blocks:
            tokens = self._texts.run(block, tokens)
        return self._texts.final(pick(tokens, where))

    def put_heads(self, image: Floats, text: Floats) -> None:
        """Set both projections, ``[C, D]`` each, as scaled as they were drawn."""
        for head, fitted in ((self.clip.visual.proj, image), (self.clip.text_projection, text)):
            value = torch.from_numpy(fitted)
            with torch.no_grad():
                head.copy_(value * (head.std() / value.std()))

    def put_stem_axes(self, axes: Floats, mean: Floats) -> None:
        """Set ``conv1`` to axes float32 ``[1280, width]`` of cells whose mean is ``[1280]``.

        Tokens begin with variance 1 around 0: positions take the mean away, which all pictures
        share.
        """
        visual = self.clip.visual
        with torch.no_grad():
            visual.conv1.weight.copy_(torch.from_numpy(axes.T.copy())[:, :, None, None])
            visual.positional_embedding[1:] -= torch.from_numpy(mean @ axes)

    def put_words(self, rows: Sequence[int], vectors: Floats) -> None:
        """Start the embeddings of some tokens as vectors ``[N, text_width]``, lengths as drawn."""
        with torch.no_grad():
            table = self.clip.token_embedding.weight
            given = torch.from_numpy(vectors)
            table[list(rows)] = given * (table.norm(dim=1).mean() / given.norm(dim=1).mean())


class Tokens:
    """Texts to token ids int64 ``[N, L]`` as the saved model will make them."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        from needlepoint.encoders.text import CANONICAL

        self._clean = CANONICAL[CLEAN]
        self._tokenizer, self._context = tokenizer, context

    def __call__(self, texts: Sequence[str]) -> Tensor:
        ids = torch.zeros(len(texts), self._context, dtype=torch.long)
        for row, text in enumerate(texts):
            found = self._tokenizer.encode(self._clean(text)).ids
            if len(found) > self._context:
                found = [*found[: self._context - 1], END_ID]
            ids[row, : len(found)] = torch.tensor(found)
        return ids


def save_dual(model: Dual, tokenizer: Any, folder: Path) -> None:
    """Write the folder ``open_clip:local-dir:FOLDER`` opens: config, float16 weights, tokenizer."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    told = model.shape.config(tokenizer.get_vocab_size())
    text = json.dumps(told, indent=1) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    save_tokenizer(tokenizer, folder, model.shape.context)
    state = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in model.clip.state_dict().items()
        if name != "logit_bias"
    }
    (folder / WEIGHT_FILES[0]).write_bytes(save(state))


def start_from(model: Dual, folder: Path) -> None:
    """Take over the weights of a saved model of the same shape and tokenizer.

    Raises:
        UsageError: another shape, or no model.
    """
    from safetensors.torch import load_file

    path = folder / WEIGHT_FILES[0]
    if not path.is_file():
        raise UsageError(f"start: {folder} holds no {WEIGHT_FILES[0]}")
    state = {name: value.float() for name, value in load_file(path).items()}
    try:
        missing, strange = model.clip.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UsageError(f"start: {folder} holds a model of another shape: {error}") from error
    if set(missing) - {"logit_bias"} or strange:
        raise UsageError(f"start: {folder} holds a model of another shape")
