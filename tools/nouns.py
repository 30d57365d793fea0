"""Write the list of everyday nouns that FreeDom names pictures with: classes of ImageNet-21k.

    pip download timm==1.0.31 --no-deps && unzip timm-*.whl -d package
    python tools/nouns.py package/timm/data/_info src/needlepoint/methods/composed/nouns.txt

The classes are those with enough pictures to learn from (ImageNet-21K-P, arXiv 2104.10972), each by
the first name WordNet 3.0 has for it. Names for kinds of people are left out, since many are
unkind; a few plain ones are kept.
"""

from __future__ import annotations

from pathlib import Path

import click

PEOPLE = range(9_605_289, 11_000_000)
"""WordNet's numbers for kinds of people."""
KEPT = ("man", "woman", "boy", "girl", "child", "baby", "bride", "groom", "soldier", "cowboy")


@click.command(help=__doc__)
@click.argument("package", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def main(package: Path, target: Path) -> None:
    """Read the classes and their names, write one name a line."""
    names = dict(_pairs(package / "imagenet_synset_to_lemma.txt"))
    classes = (package / "imagenet21k_miil_synsets.txt").read_text("utf-8").split()
    words = nouns(classes, names)
    target.write_text("\n".join(words) + "\n", "utf-8")
    click.echo(f"{target.name}: {len(words)} words, {target.stat().st_size} bytes")


def nouns(classes: list[str], names: dict[str, str]) -> list[str]:
    """The first name of every class that is no kind of person, each once, and then ``KEPT``.

    Example:
        >>> nouns(["n02084071", "n09610405"], {"n02084071": "dog, domestic dog"})[:2]
        ['dog', 'man']
    """
    things = [names[one].split(", ")[0] for one in classes if int(one[1:]) not in PEOPLE]
    return list(dict.fromkeys((*things, *KEPT)))


def _pairs(file: Path) -> list[tuple[str, str]]:
    lines = file.read_text("utf-8").splitlines()
    return [(one, name) for one, _, name in (line.partition("\t") for line in lines)]


if __name__ == "__main__":
    main()
