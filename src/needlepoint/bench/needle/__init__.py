"""Needle scenes: generated crowded pictures in which every small object is known."""

from needlepoint.bench.needle.assets import Assets, find_assets
from needlepoint.bench.needle.build import build
from needlepoint.bench.needle.crowd import build_crowd
from needlepoint.bench.needle.crowd_recipes import CROWDS, CrowdRecipe, crowd_named
from needlepoint.bench.needle.protocols import protocols_of
from needlepoint.bench.needle.recipes import RECIPES, Recipe, recipe_named
from needlepoint.bench.needle.truth import Truth, load_truth

__all__ = [
    "CROWDS",
    "RECIPES",
    "Assets",
    "CrowdRecipe",
    "Recipe",
    "Truth",
    "build",
    "build_crowd",
    "crowd_named",
    "find_assets",
    "load_truth",
    "protocols_of",
    "recipe_named",
]
