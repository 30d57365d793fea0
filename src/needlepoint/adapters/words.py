"""What is known of a hit in words, for tools that are made for text."""

from __future__ import annotations

from needlepoint.library import Library
from needlepoint.results import Hit


def words_of(library: Library, hit: Hit) -> str:
    """The picture's keywords, else its path."""
    return ", ".join(library.picture(hit.id)["keywords"]) or hit.path
