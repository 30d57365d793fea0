"""The words things are asked for by, and which instances and colours go to which split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from needlepoint.bench.needle.families import head_noun

CROWD_SPLITS = ("train", "dev", "test")
HELD_OUT = 0.15
_SINGLE = {"train": 0.6, "dev": 0.2, "test": 0.2}
PLURAL = frozenset({"grapes", "scissors"})


@cache
def vocabulary() -> Mapping[str, str]:
    """Every name that is understood, with the word it is asked for by.

    Example:
        >>> vocabulary()["couch"], vocabulary()["sofa"]
        ('sofa', 'sofa')
    """
    rows: dict[str, str] = {}
    for line in _table():
        if ":" not in line:
            word, _, others = line.replace("_", " ").partition("=")
            rows |= dict.fromkeys((word, *filter(None, others.split(","))), word)
    return rows


@cache
def kin() -> Mapping[str, frozenset[str]]:
    """For a word, the words whose things might pass for it: neither right nor wrong."""
    words = sorted(set(vocabulary().values()), key=len, reverse=True)
    rows = {}
    for line in _table():
        first, colon, others = line.partition(": ")
        if colon:
            named = set()
            for word in words:
                if f" {word} " in f" {others} ":
                    named.add(word)
                    others = f" {others} ".replace(f" {word} ", " ").strip()
            rows[first] = frozenset(named)
    return rows


def word_of(name: str) -> str:
    """The word a short name is asked for by; its head noun when the vocabulary lacks it.

    Example:
        >>> word_of("old leather couch")
        'sofa'
    """
    noun = head_noun(name)
    return vocabulary().get(name, vocabulary().get(noun, noun))


def is_word(word: str) -> bool:
    """Whether things may be asked for by this word."""
    return vocabulary().get(word) == word


def phrase(word: str, colour: str | None, adjective: str = "") -> str:
    """A thing in words, with its article.

    Example:
        >>> phrase("umbrella", None), phrase("sofa", "orange"), phrase("scissors", "red")
        ('an umbrella', 'an orange sofa', 'red scissors')
    """
    text = " ".join(part for part in (adjective, colour, word) if part)
    if word in PLURAL:
        return text
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def deal_instances(words: Mapping[str, str]) -> dict[str, str]:
    """Deal the instances of each word to ``train``, ``dev`` and ``test``.

    Args:
        words: the word of each object id.

    Returns:
        The split of each object id. The instances of a word are ordered by a hash of their ids:
        of two, one is for training; of more, every split gets some and training two thirds.
    """
    instances: dict[str, list[str]] = defaultdict(list)
    for object_id, word in words.items():
        instances[word].append(object_id)
    dealt = {}
    for word, ids in instances.items():
        asked = ("dev", "test") if unit(word) < 0.5 else ("test", "dev")
        order = sorted(ids, key=lambda object_id: (unit(object_id), object_id))
        if len(order) == 1:
            dealt[order[0]] = _by_share(unit(order[0]))
            continue
        cycle = ("train", *asked, "train", "train", "train")
        dealt |= {object_id: cycle[place % 6] for place, object_id in enumerate(order)}
    return dealt


def held_out(word: str, colour: str | None) -> bool:
    """Whether this colour of this word never occurs in training scenes (about 15 % of pairs).

    Example:
        >>> held_out("sofa", None)
        False
    """
    return colour is not None and unit(f"{word}/{colour}") < HELD_OUT


def _table() -> Sequence[str]:
    text = resources.files("needlepoint.bench.needle").joinpath("words.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def unit(text: str) -> float:
    """A number from 0 to 1 that depends on the text alone."""
    digest = hashlib.sha256(f"needlepoint/crowd/{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _by_share(position: float) -> str:
    for split, share in _SINGLE.items():
        position -= share
        if position < 0:
            return split
    return "train"
