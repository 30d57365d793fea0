"""Which words of a caption say what it is about, and the caption with a slot in their place.

A tagger tells the kind of each word; the one here knows the words that are no keywords by lists
and endings, and takes any other word for a noun. A trained tagger can be put in its place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

KEYWORDS = frozenset({"ADJ", "NOUN", "PROPN", "DET"})
"""Kinds (universal tags) that keywords have (LinCIR)."""

PLAIN = "a photo of {}"
"""What is asked where a caption holds nothing to hide."""

Tagger = Callable[[Sequence[str]], Sequence[str]]
"""Words of one caption to their kinds: ADJ, NOUN, PROPN, DET, or any other name."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def _known(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[\w']+", text))


_DETERMINERS = _known("""
    a an the this that these those some any no every each another both all either neither
    my your his her its our their several many few
""")
_OTHERS = _known("""
    of in on at by for with without from to into onto over under above below between among beside
    behind near next against around across through during after before inside outside upon off out
    up down along towards toward about as than like and or but nor so if while because although
    where when i you he she it we they me him us them who whom whose which what there here not very
    too also only just still again else away together apart nothing something anything everything
    nobody somebody itself themselves
    one two three four five six seven eight nine ten eleven twelve hundred
    is are was were be been being am has have had having do does did done can could will would shall
    should may might must make makes made take takes took taken get gets got see sees seen show
    shows shown look looks stand stands stood lie lies lay sit sits sat hold holds held wear wears
    wore worn go goes went gone come comes came put puts run runs ran walk walks fly flies ride
    rides eat eats play plays hang hangs hung
""")
_VERB = re.compile(r"[^\W\d_]{2,}(?:ing|ed)$")
_ADVERB = re.compile(r"[^\W\d_]{3,}ly$")
_NO_VERBS = _known("""
    building ceiling clothing painting ring string king wing spring thing evening morning wedding
    red bed shed sled seed weed breed coloured colored striped
""")
_NO_ADVERBS = _known("""
    fly lily butterfly dragonfly family belly jelly curly woolly ugly lovely
""")


def tag_words(words: Sequence[str]) -> list[str]:
    """The kind of each word by lists and endings: DET, NOUN (whatever is left) or X.

    Example:
        >>> tag_words("a red bicycle standing near the tree".split())
        ['DET', 'NOUN', 'NOUN', 'X', 'X', 'DET', 'NOUN']
    """
    return [_tag(word.lower()) for word in words]


def self_mask(caption: str, rng: np.random.Generator, tagger: Tagger = tag_words) -> str:
    """The caption with ``{}`` for each longest run of keywords.

    Without keywords a random word gives way; without words the sentence is ``PLAIN``.

    Example:
        >>> self_mask("a red ball on the left", np.random.default_rng(0))
        '{} on {}'
    """
    text = caption.replace("{", " ").replace("}", " ")
    runs = keyword_runs(text, tagger)
    if not runs:
        words = [match.span() for match in _WORD.finditer(text)]
        if not words:
            return PLAIN
        runs = [words[int(rng.integers(len(words)))]]
    for start, end in reversed(runs):
        text = f"{text[:start]}{{}}{text[end:]}"
    return text.strip()


def keyword_runs(text: str, tagger: Tagger = tag_words) -> list[tuple[int, int]]:
    """Where in the text the longest runs of keywords begin and end; punctuation ends a run."""
    matches = list(_WORD.finditer(text))
    kinds = tagger([match.group() for match in matches])
    runs: list[tuple[int, int]] = []
    for match, kind in zip(matches, kinds, strict=True):
        if kind not in KEYWORDS:
            continue
        # between the words of a run there is nothing but space, so no other word either
        if runs and not text[runs[-1][1] : match.start()].strip():
            runs[-1] = runs[-1][0], match.end()
        else:
            runs.append(match.span())
    return runs


def concepts_of(captions: Iterable[str], count: int, tagger: Tagger = tag_words) -> list[str]:
    """The most frequent names of things in captions: keywords without determiners, one to three.

    Example:
        >>> concepts_of(["a red ball", "the red ball on a box"], 2)
        ['red ball', 'box']
    """
    counted: Counter[str] = Counter()
    for caption in captions:
        for start, end in keyword_runs(caption, tagger):
            words = [w for w in _WORD.findall(caption[start:end].lower()) if w not in _DETERMINERS]
            if 1 <= len(words) <= 3:
                counted[" ".join(words)] += 1
    ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return [name for name, _ in ranked[:count]]


def _tag(word: str) -> str:
    if word in _DETERMINERS:
        return "DET"
    if word in _OTHERS or word.isdigit():
        return "X"
    if (_VERB.match(word) and word not in _NO_VERBS) or (
        _ADVERB.match(word) and word not in _NO_ADVERBS
    ):
        return "X"
    return "NOUN"
