"""Randomly initialised small models, written in the real on-disk format of each family.

Weights are drawn with a larger spread than the libraries use, so that attention is not uniform
and a wrong mask, order or activation changes the vectors by far more than the tolerance.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

SIZE = 64  # pixels
PATCH = 16
WIDTH = 64
DIM = 48  # joint dim of CLIP

WORDS = (
    "a photo of a red bicycle", "two dogs and one cat", "a small yellow duck in the crowd",
    "the dog runs on the beach", "one car two trees", "a b x y 0 1 2", "man woman child house",
    "a picture of a cat at night", "red green blue yellow black white", "people at the beach",
)  # fmt: skip


def pictures(count: int = 5, seed: int = 0) -> list[np.ndarray]:
    """Pictures uint8 of several sizes and shapes: smooth colour with some noise."""
    rng = np.random.default_rng(seed)
    shapes = [(80, 121), (97, 64), (64, 64), (150, 70), (71, 200)]
    made = []
    for i in range(count):
        h, w = shapes[i % len(shapes)]
        y, x = np.mgrid[0:h, 0:w]
        waves = [np.sin(x / rng.uniform(5, 30) + y / rng.uniform(5, 30)) for _ in range(3)]
        noise = rng.normal(0, 12, (h, w, 3))
        made.append(np.clip(128 + 90 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8))
    return made


def shake(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random weights of a spread that makes every part matter."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim >= 2:
                fan = value.shape[-1] if value.ndim == 2 else value[0].numel()
                spread = 0.4 if "embed" in name or "probe" in name or "latent" in name else 1.6
                value.normal_(0, spread if spread == 0.4 else spread * fan**-0.5)
            elif "norm" in name.lower() or "ln_" in name or "lambda" in name:
                value.add_(torch.randn_like(value) * 0.1)
            else:
                value.normal_(0, 0.1)
    return model.eval()


def clip_tokenizer(folder: Path, context: int) -> int:
    """CLIP's byte-level BPE files with a few merges; returns the vocabulary size."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("d", "o"), ("do", "g</w>"), ("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>")]
    tokens = [*letters, *(c + "</w>" for c in letters), *(a + b for a, b in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    settings = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": context,
        "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens)


def siglip_tokenizer(folder: Path, context: int) -> int:
    """A sentencepiece unigram model as SigLIP ships it; returns the vocabulary size."""
    import sentencepiece

    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(WORDS * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=90, model_type="unigram",
        pad_id=-1, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, hard_vocab_limit=False,
        add_dummy_prefix=False, character_coverage=1.0,
    )  # fmt: skip
    corpus.unlink()
    (folder / "spiece.vocab").unlink()
    settings = {
        "tokenizer_class": "SiglipTokenizer", "model_max_length": context, "do_lower_case": True,
        "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>",
        "model_input_names": ["input_ids"],
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return 100


def gemma_tokenizer(folder: Path, context: int, lower: bool = False) -> int:
    """A Gemma-like ``tokenizer.json`` as SigLIP 2 ships it (it keeps capitals)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers

    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    letters = [chr(c) for c in range(33, 127)]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=letters, show_progress=False
    )
    words = [word for line in WORDS for word in line.split()]
    made.train_from_iterator([f"▁{word}" for word in words] + words, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    made.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "GemmaTokenizer", "model_max_length": context, "padding_side": "right",
        "pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>",
        "model_input_names": ["input_ids"], "add_eos_token": True, "add_bos_token": False,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return made.get_vocab_size()


def bert_tokenizer(folder: Path, context: int) -> int:
    """BERT's word pieces as BLIP-2 ships them; returns the vocabulary size."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = sorted({word for line in WORDS for word in line.split()})
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,'"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]
    tokens += [c for c in letters if c not in tokens] + [f"##{c}" for c in letters]
    made = Tokenizer(models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": context,
        "padding_side": "right", "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]",
        "sep_token": "[SEP]", "model_input_names": ["input_ids", "attention_mask"],
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens)


def _processor(folder: Path, kind: str, **facts: object) -> None:
    told = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    told |= {"image_processor_type": kind, **facts}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))


def _save(folder: Path, model: torch.nn.Module) -> Path:
    shake(model).save_pretrained(folder)
    return folder


_SHAPE = {"hidden_size": WIDTH, "num_hidden_layers": 3, "num_attention_heads": 4}


def _vision(size: int, layers: int) -> dict[str, int]:
    return {**_SHAPE, "num_hidden_layers": layers, "image_size": size, "patch_size": PATCH}


def hf_clip(
    folder: Path, act: str = "gelu", legacy_eos: bool = False, size: int = SIZE, layers: int = 3
) -> Path:
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True)
    vocabulary = clip_tokenizer(folder, 77)
    shape = {"intermediate_size": 128, "hidden_act": act}
    ends = 2 if legacy_eos else vocabulary - 1
    config = CLIPConfig(
        text_config={**_SHAPE, **shape, "vocab_size": vocabulary, "max_position_embeddings": 77,
                     "eos_token_id": ends, "bos_token_id": vocabulary - 2, "pad_token_id": 1},
        vision_config={**_vision(size, layers), **shape}, projection_dim=DIM,
    )  # fmt: skip
    _processor(
        folder, "CLIPImageProcessor", size={"shortest_edge": size}, do_center_crop=True,
        crop_size={"height": size, "width": size}, resample=3,
        image_mean=[0.48, 0.46, 0.41], image_std=[0.27, 0.26, 0.28],
    )  # fmt: skip
    return _save(folder, CLIPModel(config))


def hf_siglip(folder: Path, second: bool = False, size: int = SIZE, layers: int = 3) -> Path:
    """SigLIP, or SigLIP 2 of fixed resolution: the same modules with Gemma's tokenizer."""
    from transformers import SiglipConfig, SiglipModel

    folder.mkdir(parents=True)
    vocabulary = (gemma_tokenizer if second else siglip_tokenizer)(folder, 64)
    shape = {"intermediate_size": 128, "hidden_act": "gelu_pytorch_tanh"}
    config = SiglipConfig(
        text_config={**_SHAPE, **shape, "vocab_size": vocabulary, "max_position_embeddings": 64,
                     "projection_size": WIDTH, "pad_token_id": 1, "eos_token_id": 1,
                     "bos_token_id": 2},
        vision_config={**_vision(size, layers), **shape},
    )  # fmt: skip
    _processor(
        folder, "SiglipImageProcessor", size={"height": size, "width": size},
        resample=2 if second else 3, image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    return _save(folder, SiglipModel(config))


def hf_dino(folder: Path, kind: str, size: int = SIZE, layers: int = 3) -> Path:
    """``dinov2``, ``dinov2_with_registers`` or ``dinov3_vit``."""
    import transformers

    folder.mkdir(parents=True)
    if kind == "dinov3_vit":
        config = transformers.DINOv3ViTConfig(
            **_vision(size, layers), intermediate_size=128, num_register_tokens=4
        )
        model = transformers.DINOv3ViTModel(config)
        _processor(
            folder, "DINOv3ViTImageProcessor", size={"height": size, "width": size}, resample=2,
            image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
        )  # fmt: skip
        return _save(folder, model)
    shape = {**_vision(size, layers), "mlp_ratio": 2}
    if kind == "dinov2":
        model = transformers.Dinov2Model(transformers.Dinov2Config(**shape))
    else:
        config = transformers.Dinov2WithRegistersConfig(**shape, num_register_tokens=4)
        model = transformers.Dinov2WithRegistersModel(config)
    _processor(
        folder, "BitImageProcessor", size={"shortest_edge": size + 10}, do_center_crop=True,
        crop_size={"height": size, "width": size}, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    return _save(folder, model)


def hf_blip2(
    folder: Path, queries: int = 4, size: int = 32, pad_ratio: float = 0, head: bool = True
) -> Path:
    """BLIP-2 with the image-text-retrieval head, or (``head`` false) with that of generation."""
    from transformers import Blip2Config, Blip2ForImageTextRetrieval, Blip2Model

    folder.mkdir(parents=True)
    vocabulary = bert_tokenizer(folder, 32)
    shape = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = Blip2Config(
        vision_config={**shape, "hidden_size": 48, "image_size": size, "patch_size": PATCH},
        qformer_config={**shape, "hidden_size": WIDTH, "vocab_size": vocabulary,
                        "max_position_embeddings": 64, "use_qformer_text_input": True},
        text_config={"model_type": "opt", "hidden_size": 16, "num_hidden_layers": 1, "ffn_dim": 16,
                     "num_attention_heads": 1, "vocab_size": 8, "word_embed_proj_dim": 16},
        num_query_tokens=queries, image_text_hidden_size=DIM,
    )  # fmt: skip
    extra = {"pad_ratio": pad_ratio, "crop_size": {"height": size, "width": size}}
    _processor(
        folder, "BlipImageProcessor",
        size={"shortest_edge": size} if pad_ratio else {"height": size, "width": size},
        resample=3, image_mean=[0.48, 0.46, 0.41], image_std=[0.27, 0.26, 0.28],
        **(extra if pad_ratio else {}),
    )  # fmt: skip
    return _save(folder, (Blip2ForImageTextRetrieval if head else Blip2Model)(config))


def small_timm_siglip(size: int = SIZE, layers: int = 3) -> str:
    """timm's SigLIP ViT, which has no small variant of its own, registered at a small size."""
    import timm
    from timm.models.vision_transformer import _create_vision_transformer

    name = f"vit_small_test_siglip_{size}_{layers}"

    def made(pretrained: bool = False, **kwargs: object) -> torch.nn.Module:
        shape = {"patch_size": PATCH, "img_size": size, "embed_dim": WIDTH, "depth": layers}
        shape |= {"num_heads": 4, "class_token": False, "global_pool": "map"}
        return _create_vision_transformer(
            "vit_base_patch16_siglip_224", pretrained=pretrained, **{**shape, **kwargs}
        )

    if not timm.is_model(name):
        made.__name__ = name
        timm.models.register_model(made)
    return name


def small_timm_clip(registers: int = 0, size: int = SIZE, layers: int = 3) -> str:
    """timm's CLIP ViT (class token, norm before the blocks) registered at a small size.

    With registers it also has norms of queries and keys, layer scale, and prefix tokens without
    positions: everything that a hand-written pass could forget.
    """
    import timm
    from timm.models.vision_transformer import _create_vision_transformer

    name = f"vit_small_test_clip_{registers}_{size}_{layers}"

    def made(pretrained: bool = False, **kwargs: object) -> torch.nn.Module:
        shape = {"patch_size": PATCH, "img_size": size, "embed_dim": WIDTH, "depth": layers}
        shape |= {"num_heads": 4, "pre_norm": True, "norm_layer": torch.nn.LayerNorm}
        if registers:
            shape |= {"reg_tokens": registers, "no_embed_class": True, "init_values": 0.5}
            shape |= {"qk_norm": True}
        return _create_vision_transformer(
            "vit_base_patch16_clip_224", pretrained=pretrained, **{**shape, **kwargs}
        )

    if not timm.is_model(name):
        made.__name__ = name
        timm.models.register_model(made)
    return name


def open_clip_folder(
    folder: Path,
    *,
    quick_gelu: bool = False,
    siglip: bool = False,
    timm: int | None = None,
    size: int = SIZE,
    layers: int = 3,
) -> Path:
    """open_clip's local-dir format: a CLIP with its own ViT, or SigLIP with timm's ViT.

    ``timm`` makes a CLIP on timm's ViT with a class token and so many registers.
    """
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    preprocess = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}
    preprocess |= {"interpolation": "bicubic", "resize_mode": "shortest"}
    text = {"width": WIDTH, "heads": 4, "layers": 3}
    if siglip:
        vocabulary = gemma_tokenizer(folder, 64)
        name = small_timm_siglip(size, layers)
        vision = {"image_size": size, "timm_model_name": name, "timm_model_pretrained": False,
                  "timm_pool": "map", "timm_proj": "none"}  # fmt: skip
        text |= {"context_length": 64, "vocab_size": vocabulary, "hf_tokenizer_name": "tiny",
                 "tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True,
                 "proj_bias": True, "pool_type": "last"}  # fmt: skip
        config = {"embed_dim": WIDTH, "custom_text": True, "init_logit_bias": -10,
                  "vision_cfg": vision, "text_cfg": text}  # fmt: skip
        preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic",
                      "resize_mode": "squash"}  # fmt: skip
    else:
        vision = {"image_size": size, "patch_size": PATCH, "width": WIDTH, "layers": layers,
                  "head_width": 16}  # fmt: skip
        text |= {"context_length": 77, "vocab_size": 49408}
        if timm is not None:
            name = small_timm_clip(timm, size, layers)
            vision = {"image_size": size, "timm_model_name": name, "timm_model_pretrained": False,
                      "timm_pool": "token", "timm_proj": None}  # fmt: skip
        config = {"embed_dim": DIM, "quick_gelu": quick_gelu, "vision_cfg": vision,
                  "text_cfg": text}  # fmt: skip
    told = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    state = {k: v.contiguous() for k, v in shake(model).state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder
