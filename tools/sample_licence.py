"""Writing samples/LICENSE.md: every file with what it was made from."""

from __future__ import annotations

from pathlib import Path

HEAD = """# Licences of the sample pictures

Nothing here is copyleft. The rendered pictures (`pictures/desk-*`, `kitchen-*`,
`toys-*`, `yard-*`, and `queries/*`) and `truth.json` are dedicated to the public domain under
[CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/). They were made by
`tools/build_samples.py` from works that are themselves in the public domain:

- 3-D models of the collection “Blend Swap CC-0” (Debian package `sweethome3d-furniture` 1.8,
  `BlendSwap-CC-0.sh3f`), CC0 1.0; collected and converted by Emmanuel Puybaret / eTeks, made by
  contributors of blendswap.com;
- panoramic photographs of Poly Haven, CC0 1.0, as reduced in the npm package `@pmndrs/assets`
  1.7.0 (CC0 1.0);
- the textures `brick`, `grass` and `gravel` of scikit-image (CC0 1.0) as grounds of `yard-*`.

The photographs (`pictures/photo-*`) keep their own licences, given below. Those under
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) and
[CC BY 2.0](https://creativecommons.org/licenses/by/2.0/) need their author named; the changes made
are a smaller size and a new JPEG compression.

**The dates, places, cameras, lenses, ratings and keywords inside the rendered pictures are
invented**, so that filters have something to filter. No such camera exists and nothing was taken
there.

| file | made from |
|---|---|
"""


def write_licence(folder: Path, credits: dict[str, str]) -> None:
    """Write ``LICENSE.md`` with one row per file of ``credits``."""
    rows = [f"| `{file}` | {credits[file]} |" for file in sorted(credits)]
    text = HEAD + "\n".join(rows) + "\n"
    (folder / "LICENSE.md").write_text(text, encoding="utf-8")
