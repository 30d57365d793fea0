"""A small WordPiece tokenizer: the words of the captions, common words, and pieces for the rest."""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from needlepoint.encoders.text import canonicalize
from needlepoint.errors import UsageError

PAD, UNKNOWN, END = "[PAD]", "[UNK]", "[END]"
END_ID = 2


def common_words(count: int) -> list[str]:
    """The first ``count`` whole words of the built-in sentence model, the most frequent first."""
    whole = (t for t in _builtin_tokens() if len(t) > 2 and t.isascii() and t.isalpha())
    return [word for word, _ in zip(whole, range(count), strict=False)]


def make_tokenizer(texts: Iterable[str], *, words: int = 5000, pieces: int = 1500) -> Any:
    """A ``tokenizers.Tokenizer`` that ends every text with ``[END]`` (id 2) and pads with id 0.

    Args:
        texts: captions; every word that occurs twice becomes a token.
        words: common words that become tokens too.
        pieces: common endings (``##ing``) for words that are none.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    counted = Counter(word for text in texts for word in canonicalize(text).split())
    seen = sorted(word for word, count in counted.items() if count > 1 and word.isalnum())
    letters = string.ascii_lowercase + string.digits
    endings = [t for t in _builtin_tokens() if t.startswith("##") and t[2:].isalnum()][:pieces]
    letter_pieces = [f"##{letter}" for letter in letters]
    special = [PAD, UNKNOWN, END]
    tokens = dict.fromkeys(
        [*special, *letters, *letter_pieces, *endings, *seen, *common_words(words)]
    )
    made = Tokenizer(
        models.WordPiece(
            {token: number for number, token in enumerate(tokens)},
            unk_token=UNKNOWN,
            max_input_chars_per_word=60,
        )
    )
    made.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, END_ID)]
    )
    return made


def save_tokenizer(tokenizer: Any, folder: Path, context: int) -> None:
    """Write the two files by which open_clip and transformers know a tokenizer."""
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "padding_side": "right",
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "eos_token": END,
        "model_input_names": ["input_ids"],
    }
    text = json.dumps(told, indent=1) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer that ``save_tokenizer`` wrote.

    Raises:
        UsageError: the folder holds none.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UsageError(f"start: {folder} holds no tokenizer.json")
    return Tokenizer.from_file(str(path))


def _builtin_tokens() -> list[str]:
    """Tokens of the built-in sentence model; it numbers them by frequency."""
    place = files("needlepoint.encoders.builtin") / "data" / "tokenizer.json"
    numbered: dict[str, int] = json.loads(place.read_text("utf-8"))["model"]["vocab"]
    return sorted(numbered, key=numbered.__getitem__)
