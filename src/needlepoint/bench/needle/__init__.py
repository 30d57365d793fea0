"""Needle scenes: generated crowded pictures in which every small object is known."""

from needlepoint.bench.needle.assets import Assets, find_assets
from needlepoint.bench.needle.build import build
from needlepoint.bench.needle.recipes import RECIPES, Recipe, recipe_named
from needlepoint.bench.needle.truth import Truth, load_truth

__all__ = [
    "RECIPES",
    "Assets",
    "Recipe",
    "Truth",
    "build",
    "find_assets",
    "load_truth",
    "recipe_named",
]
