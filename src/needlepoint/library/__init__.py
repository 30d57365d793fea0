"""A library: pictures on disk, what is kept of them, and the questions it answers."""

from needlepoint.library.core import Library, default_library_path
from needlepoint.library.indexing import IndexReport, Progress

__all__ = ["IndexReport", "Library", "Progress", "default_library_path"]
