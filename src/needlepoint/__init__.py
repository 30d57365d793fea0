"""needlepoint: a picture library you can question, down to the smallest thing in a picture.

>>> import needlepoint
>>> needlepoint.Query.parse("a red bicycle").parts[0].kind
'text'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from needlepoint.encoders.address import open_encoder as open_encoder
    from needlepoint.errors import NeedlepointError as NeedlepointError
    from needlepoint.library import IndexReport as IndexReport
    from needlepoint.library import Library as Library
    from needlepoint.picture import Picture as Picture
    from needlepoint.query import Query as Query
    from needlepoint.results import Hit as Hit
    from needlepoint.results import Results as Results

_HOMES = {
    "Hit": "results",
    "IndexReport": "library",
    "Library": "library",
    "NeedlepointError": "errors",
    "Picture": "picture",
    "Query": "query",
    "Results": "results",
    "open_encoder": "encoders.address",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    """Names are found when they are asked for, so that importing the package loads nothing."""
    if name in _HOMES:
        return getattr(import_module(f"needlepoint.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'needlepoint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
