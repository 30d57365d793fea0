"""Any supported tokenizer as the text of a ``tokenizer.json`` that the ``tokenizers`` package
reads, so that an exported encoder needs neither transformers nor open_clip."""

from __future__ import annotations

from typing import Any

from needlepoint.errors import UsageError


def tokenizer_json(tokenize: Any) -> str:
    """The tokenizer behind ``HfTokenize`` or ``OpenClipTokenize``, without padding.

    Raises:
        UsageError: a tokenizer of a kind that cannot be written so.
    """
    inner = getattr(tokenize.tokenizer, "tokenizer", tokenize.tokenizer)  # open_clip wraps one
    if hasattr(inner, "bpe_ranks"):
        made = _clip_bpe(inner)
    elif hasattr(inner, "backend_tokenizer"):
        from tokenizers import Tokenizer

        made = Tokenizer.from_str(inner.backend_tokenizer.to_str())
    elif hasattr(inner, "sp_model"):
        made = _sentencepiece(inner)
    else:
        raise UsageError(f"tokenizer of class {type(inner).__name__} cannot be exported")
    made.no_padding()
    made.no_truncation()
    return str(made.to_str())


def _clip_bpe(inner: Any) -> Any:
    """open_clip's ``SimpleTokenizer``: CLIP's byte-level BPE on text that is lower case already."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    merges = sorted(inner.bpe_ranks, key=inner.bpe_ranks.__getitem__)
    made = Tokenizer(
        models.BPE(
            vocab=inner.encoder,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
        )
    )
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    names = {number: token for token, number in inner.encoder.items()}
    first, last = names[inner.sot_token_id], names[inner.eot_token_id]
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(first, inner.sot_token_id), (last, inner.eot_token_id)],
    )
    return made


def _sentencepiece(inner: Any) -> Any:
    """SigLIP's unigram model, whose own normaliser is kept as its compiled map."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers.utils import sentencepiece_model_pb2_new as proto

    told = proto.ModelProto.FromString(inner.sp_model.serialized_model_proto())
    pieces = [(piece.piece, piece.score) for piece in told.pieces]
    made = Tokenizer(models.Unigram(pieces, unk_id=told.trainer_spec.unk_id, byte_fallback=False))
    steps: list[Any] = [normalizers.Replace(Regex(" {2,}"), " ")]
    if told.normalizer_spec.precompiled_charsmap:
        steps.insert(0, normalizers.Precompiled(told.normalizer_spec.precompiled_charsmap))
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    end = inner.eos_token
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, inner.eos_token_id)]
    )
    return made
