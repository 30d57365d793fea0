"""Optimisation-based textual inversion: a picture as the pseudo-word that describes it best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.inverted import inverted
from needlepoint.methods.options import read_options
from needlepoint.methods.pseudo_words import PseudoWords, Reader, read_template
from needlepoint.parts import Floats

_NAME = "oti"


@dataclass(frozen=True, slots=True)
class Options:
    """``oti:steps=150,words=1,template=that,prompt=a photo of {}``.

    A picture becomes ``words`` pseudo-words in ``steps`` of AdamW (``rate``, ``decay``), so that
    ``prompt`` comes to its vector; of several prompts with ``|`` between them one is drawn a step.
    ``ema`` is the share of the running mean kept at each step (0: the last step is taken),
    ``noise`` the deviation of iSEARLE's noise. ``template`` is asked with: ``that``, ``list``,
    ``domain`` or a sentence with ``{}`` and ``{change}``.
    """

    steps: int = 150
    words: int = 1
    rate: float = 0.02
    decay: float = 0.01
    ema: float = 0.0
    noise: float = 0.0
    prompt: str = "a photo of {}"
    template: str = "that"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "words"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"method oti: {name} is {getattr(self, name)}. Allowed: 1 and more."
                )
        for name in ("rate", "decay", "noise"):
            if not 0 <= getattr(self, name) <= 10:
                raise UsageError(f"method oti: {name} is {getattr(self, name)}. Allowed: 0 to 10.")
        if not 0 <= self.ema < 1:
            raise UsageError(f"method oti: ema is {self.ema}. Allowed: 0 and more, below 1.")
        if any("{}" not in one for one in self.prompt.split("|")):
            raise UsageError(
                f"method oti: prompt is {self.prompt!r}. Allowed: a sentence with {{}}, or several "
                "with | between them."
            )


def reader(options: Options) -> Reader:
    """Unit vectors of pictures to pseudo-words; those found once are kept in memory."""

    def read(vectors: Floats, encoder: Any) -> Floats:
        from needlepoint.encoders.inversion import Inversion, invert_pictures

        how = Inversion(
            steps=options.steps,
            rate=options.rate,
            decay=options.decay,
            words=options.words,
            ema=options.ema,
            templates=tuple(options.prompt.split("|")),
            text_noise_std=options.noise,
            seed=options.seed,
        )
        return inverted(encoder, vectors, how, lambda new: invert_pictures(encoder, new, how))

    return read


def composer(options: str, helpers: Helpers) -> PseudoWords:
    """The method with its options; no model is needed beside the library's encoder."""
    told = read_options(Options, options, _NAME)
    return PseudoWords(_NAME, read_template(told.template, _NAME), reader(told))


CARD = register(
    Method(
        MethodCard(
            name=_NAME,
            title="OTI (textual inversion by optimisation)",
            paper="Mistretta et al., Cross the Gap, ICLR 2025 (arXiv 2502.04263); for composed "
            "questions Baldrati et al., SEARLE, ICCV 2023 (arXiv 2303.15247), first stage",
            year=2025,
            task="composed",
            parts=(
                "composer: the picture's vector as a pseudo-word, found by gradient descent "
                "through the frozen text tower, in a sentence with the change",
                "without a change: picture to picture through the text tower",
            ),
            recipe="*",
            needs=("text", "inject"),
            stores="nothing of its own",
            passes="150 of the text tower, forth and back, a picture not asked before (150 steps); "
            "one a question",
            evidence="authors' code",
            parameters={
                "steps": "150, with AdamW (SEARLE: 350)",
                "rate": "0.02",
                "decay": "0.01",
                "words": "pseudo-words a picture, 1",
                "prompt": "a photo of {}; several with | between them: one is drawn a step, as "
                "SEARLE does with 24",
                "ema": "0: the last step is taken (SEARLE: 0.99, the running mean)",
                "noise": "0; iSEARLE adds normal noise to the vector of the prompt. That its "
                "deviation is of numbers of the unit vector is our reading",
                "template": "that: a photo of {} that {change} (SEARLE's); list: a photo of {}, "
                "{change}; domain: a {change} of {}; or a sentence of one's own",
                "seed": "0",
            },
            disagreements=(
                "The loss of a batch is a sum over its pictures and each picture's start is drawn "
                "from its own vector, so that a picture gives the same word alone and among others "
                "(the authors' is a mean, of one stream of numbers).",
                "A question with a piece of a picture inverts the piece's vector (ours).",
                "Weights of several references are not heard: each has a place in the sentence.",
                "Of several prompts one is drawn a step, the same for all pictures (ours).",
                "SEARLE's second loss, on phrases, is part of its training here, not of this "
                "method.",
            ),
        ),
        composer=composer,
    )
)
