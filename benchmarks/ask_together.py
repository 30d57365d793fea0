"""What it saves to ask several questions at once: ``Library.search_many`` beside one by one.

    python benchmarks/ask_together.py --library /tmp/big/library

The library is one of ``big_library.py``. Every round asks the same fresh questions one by one and
together, in turn, so that both meet the same minute of the machine; the answers are compared.
Times are of the whole call, encoding and facts counted; the ratio is the median over rounds.
Writes ``results/ask-together-HARDWARE.csv``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from pathlib import Path

import numpy as np

from common import write_rows
from needlepoint.errors import NeedlepointError
from needlepoint.library import Library
from needlepoint.library.asking import Options

THINGS = ("cup", "dog", "cat", "lamp", "bicycle", "boat", "tree", "car", "chair", "clock", "book")
KINDS = ("red", "blue", "small", "old", "green", "wooden", "broken", "white", "yellow", "dark")
AT_ONCE = (1, 2, 4, 8, 16)


def words() -> list[str]:
    return [f"a {kind} {thing}" for kind, thing in itertools.product(KINDS, THINGS)]


def items(library: Library) -> list[str]:
    count = library.info()["pictures"]
    return [f"@{1 + i * (count - 100) // 1000}" for i in range(1000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("-k", type=int, default=50)
    args = parser.parse_args()
    rows = []
    rng = np.random.default_rng(0)
    options = Options(k=args.k)
    with Library.open(args.library, read_only=True) as library:
        for kind, pool in (("words", words()), ("items", items(library))):
            questions = itertools.cycle(rng.permutation(pool).tolist())
            library.search_many(list(itertools.islice(questions, 4)), options)  # warm
            for many in AT_ONCE:
                alone, together, ratios, worked = [], [], [], []
                for turn in range(args.rounds):
                    some = list(itertools.islice(questions, many))
                    took, busy, answers = {}, {}, {}
                    for way in ("alone", "together") if turn % 2 else ("together", "alone"):
                        began, worked_before = time.perf_counter(), time.process_time()
                        if way == "alone":
                            answers[way] = [library.search(q, k=args.k) for q in some]
                        else:
                            answers[way] = library.search_many(some, options)
                        took[way] = (time.perf_counter() - began) * 1e3 / many
                        busy[way] = (time.process_time() - worked_before) * 1e3 / many
                    for one, other in zip(answers["alone"], answers["together"], strict=True):
                        if isinstance(other, NeedlepointError):
                            raise other
                        assert one.to_dict()["hits"] == other.to_dict()["hits"]
                    alone.append(took["alone"])
                    together.append(took["together"])
                    worked.append((busy["alone"], busy["together"]))
                    ratios.append(took["alone"] / took["together"])
                rows.append(
                    {
                        "questions": kind,
                        "at_once": many,
                        "k": args.k,
                        "rounds": args.rounds,
                        "alone_ms_each": round(statistics.median(alone), 1),
                        "together_ms_each": round(statistics.median(together), 1),
                        "times_faster": round(statistics.median(ratios), 2),
                        "lowest": round(min(ratios), 2),
                        "highest": round(max(ratios), 2),
                        "alone_cpu_ms_each": round(statistics.median(a for a, _ in worked), 1),
                        "together_cpu_ms_each": round(statistics.median(b for _, b in worked), 1),
                        "cpu_times_less": round(statistics.median(a / b for a, b in worked), 2),
                        "load": round(os.getloadavg()[0], 1),
                    }
                )
                print(rows[-1], flush=True)
    print(write_rows("ask-together", rows))


if __name__ == "__main__":
    main()
