"""What indexing keeps of pictures: as asked for, else as last time, else what the encoder can."""

from __future__ import annotations

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.card import describer_of, find_method, same_vectors
from needlepoint.parts import Encoder
from needlepoint.regions.describe import Describer
from needlepoint.regions.recipe import Recipe, is_policy
from needlepoint.store.base import Space
from needlepoint.store.sqlite import SqliteStore


def plan_describer(
    store: SqliteStore,
    encoder: Encoder,
    address: str,
    *,
    method: str | None,
    regions: str | None,
    detail: str | None,
    keep_map: bool,
) -> Describer:
    """The describer asked for, or that of the last run with this encoder, or the default.

    A library holds one region policy for an encoder, and any number of methods beside it.

    Raises:
        UsageError: options that cannot be understood, exclude each other, or ask of the encoder
            what it cannot do.
        LibraryIncompatible: the library has another region policy for this encoder.
    """
    known = [s.recipe for s in store.spaces() if s.encoder == address]
    policy = next(filter(is_policy, known), None)
    if method is not None:
        if regions is not None or detail is not None or keep_map:
            raise UsageError(
                f"`method` is {method}, and `regions`, `detail` or `keep_map` is given too: a "
                f"method says itself what is kept. Write its options behind it, as in "
                f"{method.partition(':')[0]}:option=value, or leave `method` out."
            )
        if not is_policy(method):
            return _of_method(encoder, method, known)
        if policy is not None and method == policy.partition(":")[0]:
            return describer_of(policy)
        regions = method
    if regions is None and detail is None and not keep_map:
        default = "dense" if "dense" in encoder.card.abilities else "none"
        last = store.get_meta(_last(address))
        return describer_of(last or next(iter(known), default))
    kind = regions or (policy or "dense").partition("@")[0]
    recipe = Recipe.parse(kind, detail, keep_map=keep_map)
    if policy is not None and str(recipe) != policy:
        raise LibraryIncompatible(
            f"`regions`/`detail` ask for {recipe}, but {store.folder} was indexed with {policy} "
            f"by {address}. One library keeps one policy for an encoder: leave the options "
            "out, or index into another --library."
        )
    return describer_of(str(recipe))


def remember(store: SqliteStore, address: str, recipe: str) -> None:
    """Make this the encoder and the recipe of the next run that names none."""
    store.set_meta("use.index", address)
    store.set_meta(_last(address), recipe)


def plan_spaces(
    store: SqliteStore, encoder: Encoder, address: str, recipe: str, *, dry_run: bool
) -> list[Space]:
    """The spaces of an encoder under a recipe; a dry run makes none, and those have the id 0.

    Raises:
        LibraryIncompatible: the library has these spaces by another version of the encoder.
    """
    spaces = [
        Space(
            name=card.name,
            encoder=address,
            fingerprint=encoder.card.fingerprint(),
            dim=card.dim,
            codec=card.codec,
            recipe=recipe,
            card={"answers": list(card.answers), "encoder": encoder.card.facts()},
        )
        for card in encoder.card.spaces
    ]
    if not dry_run:
        return [store.ensure_space(space) for space in spaces]
    known = {(s.name, s.encoder, s.recipe): s for s in store.spaces()}
    return [known.get((s.name, s.encoder, s.recipe), s) for s in spaces]


def _of_method(encoder: Encoder, method: str, known: list[str]) -> Describer:
    """The describer of a method, under the recipe the library already has the same vectors by."""
    describer = describer_of(method)
    name = method.partition(":")[0]
    lacks = sorted(set(find_method(name).card.needs) - set(encoder.card.abilities))
    if lacks:
        can = ", ".join(encoder.card.abilities) or "none of those abilities"
        raise UsageError(
            f"`method` is {method}, which needs {', '.join(lacks)} of the encoder; "
            f"{encoder.card.address} has {can}. Choose another --model (needlepoint models), or "
            "another --method (needlepoint methods)."
        )
    for recipe in known:
        if recipe.partition(":")[0] == name and same_vectors(recipe, describer.recipe):
            return describer_of(recipe)
    return describer


def _last(address: str) -> str:
    return f"use.index.recipe:{address}"
