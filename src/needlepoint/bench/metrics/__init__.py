"""Measures of a ranked answer, as pure functions.

Vocabulary, the same in every function:

- a *ranking* is a sequence of ids, best first, without repetitions (``UsageError`` otherwise); it
  may be complete or cut off after the first n;
- *relevant* is the set of ids that answer the question. Ids in it that the ranking never reaches
  count as never found (but in ``average_precision_found``);
- *junk* is the set of ids that count neither for nor against (for instance the picture the
  question was cut from). They are taken out of the ranking before anything is counted, and out of
  ``relevant`` as well;
- a cut ``k`` beyond the ranking takes the whole ranking;
- a question with nothing relevant (after junk) has no defined score: functions return ``nan``, and
  ``mean_defined`` leaves those out and says how many they were;
- the order of equal scores is the ranking's business: ``rank_by_score`` puts the lower id first,
  whatever the sign of the scores. Only ``average_precision_ties`` looks at scores itself.

Five average precisions are in use and differ where a ranking is cut, where scores are equal or by
the rule of integration; a table must name the one it holds:

=============================== ======================= ============================ ============
function                        a hit counts            divided by                   as in
=============================== ======================= ============================ ============
``average_precision``           precision there         all relevant                 most papers
``average_precision_found``     precision there         relevant ids found           MaO, RSCIR
``average_precision_trapezoid`` mean of before and at   all relevant                 ROxford, LTLL
``average_precision_at_k``      precision there, to k   min(k, relevant)             CIRCO
``average_precision_ties``      at the end of its ties  min(k, relevant)             ILIAS
=============================== ======================= ============================ ============
"""

from needlepoint.bench.metrics.boxes import box_hit_rate, centre_inside, iou
from needlepoint.bench.metrics.composed import (
    composed_scores,
    composed_summary,
    composed_values,
)
from needlepoint.bench.metrics.gain import ndcg
from needlepoint.bench.metrics.intervals import Interval, bootstrap_interval, paired_bootstrap
from needlepoint.bench.metrics.precision import (
    average_precision,
    average_precision_at_k,
    average_precision_found,
    average_precision_ties,
    average_precision_trapezoid,
    expected_average_precision,
)
from needlepoint.bench.metrics.ranking import (
    hit_at_k,
    hits_at_k,
    inverse_negative_penalty,
    mean_defined,
    rank_by_score,
    recall_at_k,
)
from needlepoint.bench.metrics.rounds import (
    best_rank_integral,
    reciprocal_ranks,
    round_hits,
    round_recall,
    target_ranks,
)

__all__ = [
    "Interval",
    "average_precision",
    "average_precision_at_k",
    "average_precision_found",
    "average_precision_ties",
    "average_precision_trapezoid",
    "best_rank_integral",
    "bootstrap_interval",
    "box_hit_rate",
    "centre_inside",
    "composed_scores",
    "composed_summary",
    "composed_values",
    "expected_average_precision",
    "hit_at_k",
    "hits_at_k",
    "inverse_negative_penalty",
    "iou",
    "mean_defined",
    "ndcg",
    "paired_bootstrap",
    "rank_by_score",
    "recall_at_k",
    "reciprocal_ranks",
    "round_hits",
    "round_recall",
    "target_ranks",
]
