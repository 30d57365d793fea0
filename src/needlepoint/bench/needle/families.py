"""Which split an object belongs to: by a hash of its family, so that look-alikes stay together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

SPLITS = ("dev", "test", "fit")
SHARES = {"dev": 0.35, "test": 0.35, "fit": 0.30}

_ARTICLE = re.compile(r"^(?:an?|the|some|two|another|my|grandma[’']s)\s+", re.IGNORECASE)
_COLLECTIVE = re.compile(r"^(?:pair|bunch|plant|piece|set|baby|cup)\s+of\s+(?:an?\s+)?")
_TAIL = re.compile(
    r"\s*[(,.!?;:—\"].*$"
    r"|\s+(?:with|of|from|on|in|used|for|and|is|are|lets|has|resembles|like|making|called|last)\b.*$"
)
_NUMBERED = re.compile(r"(?:[-_ ]?\d+[a-z]?|[-_ ][a-z])+$", re.IGNORECASE)


def clean_name(caption: str) -> str:
    """A short lower-case name from a caption or a catalogue entry.

    Example:
        >>> clean_name("A peacock (a male peafowl).")
        'peacock'
        >>> clean_name("Concept Sedan 01")
        'concept sedan'
    """
    text = _ARTICLE.sub("", caption.strip()).lower()
    text = _COLLECTIVE.sub("", text)
    text = _TAIL.sub("", text)
    text = _NUMBERED.sub("", text).strip()
    return text or caption.strip().lower()


def head_noun(name: str) -> str:
    """The last word of a name, without a plural s: what kind of thing it is.

    Example:
        >>> head_noun("wooden teak tables")
        'table'
    """
    words = re.findall(r"[^\W\d_]+", name.lower())
    word = words[-1] if words else name.lower()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def families(names: Sequence[str], stems: Sequence[str]) -> list[str]:
    """Group objects that share a head noun or a numbered file stem.

    Args:
        names: a short name for each object.
        stems: its file stem or folder name (``cep-1``, ``cep-2`` count as the same).

    Returns:
        One family label for each object; the same label for every object reached through shared
        nouns and stems.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    nouns = [head_noun(name) for name in names]
    for noun, stem in zip(nouns, stems, strict=True):
        base = "stem:" + _NUMBERED.sub("", stem).lower()
        first, second = sorted((root(noun), root(base)))
        parent[second] = first
    members: dict[str, str] = {}
    for noun in nouns:
        key = root(noun)
        members[key] = min(members.get(key, noun), noun)
    return [members[root(noun)] for noun in nouns]


def split_of(family: str) -> str:
    """The split of a family: ``dev``, ``test`` or ``fit``, by a hash of its label.

    Example:
        >>> split_of("chair") in SPLITS
        True
    """
    digest = hashlib.sha256(f"needlepoint/{family}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    for split in SPLITS:
        position -= SHARES[split]
        if position < 0:
            return split
    return SPLITS[-1]


def deal(labels: Sequence[str]) -> dict[str, str]:
    """Deal a short fixed list of labels evenly to the splits, in the order of their hashes."""
    ordered = sorted(set(labels), key=lambda label: hashlib.sha256(label.encode()).digest())
    return {label: SPLITS[index % len(SPLITS)] for index, label in enumerate(ordered)}
