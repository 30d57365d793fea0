"""The measures of composed questions as the papers word them, rank by rank, in no hurry."""

from __future__ import annotations


def kept(question, ranking):
    """The ranking of a question: what it leaves out is not there, what it is not among neither."""
    order = []
    for name in ranking:
        if name in question.junk:
            continue
        if question.among and name not in question.among:
            continue
        order.append(name)
    return order


def recall(question, ranking, k):
    """Whether the target (any right one, where none is the target) is among the first k."""
    found = 0.0
    for name in kept(question, ranking)[:k]:
        if name == question.target or (not question.target and name in question.relevant):
            found = 1.0
    return found


def share(question, ranking, k):
    """Share of all right pictures among the first k."""
    first = kept(question, ranking)[:k]
    return len([name for name in first if name in question.relevant]) / len(question.relevant)


def precision(question, ranking, k):
    """Share of right pictures among k places, also of those that are not filled."""
    first = kept(question, ranking)[:k]
    return len([name for name in first if name in question.relevant]) / k


def circo(question, ranking, k):
    """AP@k: the sum over i <= k of P(i) rel(i), over min(k, number of right pictures)."""
    order = kept(question, ranking)
    total = 0.0
    for i in range(1, k + 1):
        if i <= len(order) and order[i - 1] in question.relevant:
            total += len([n for n in order[:i] if n in question.relevant]) / i
    return total / min(k, len(question.relevant))


def found_only(question, ranking):
    """The mean of the precisions at the hits, over the hits that are there."""
    order = kept(question, ranking)
    at = [
        len([n for n in order[: i + 1] if n in question.relevant]) / (i + 1)
        for i in range(len(order))
        if order[i] in question.relevant
    ]
    return sum(at) / len(at) if at else 0.0


def trapezoid(question, ranking):
    """Each hit adds the mean of the precision before it and with it, over all right pictures."""
    order = kept(question, ranking)
    total, hits = 0.0, 0
    for place, name in enumerate(order):
        if name in question.relevant:
            before = hits / place if place else 1.0
            hits += 1
            total += (before + hits / (place + 1)) / 2
    return total / len(question.relevant)


def plain(question, ranking):
    """Mean of the precisions at the right pictures, those never reached counting nothing."""
    order = kept(question, ranking)
    total, hits = 0.0, 0
    for place, name in enumerate(order, start=1):
        if name in question.relevant:
            hits += 1
            total += hits / place
    return total / len(question.relevant)


def measures(task, question, ranking):
    """All measures of a task for one question that has an answer."""
    told = {}
    if task == "fashioniq/dress":
        told = {f"R@{k}": recall(question, ranking, k) for k in (10, 50)}
    elif task == "cirr/recall":
        told = {f"R@{k}": recall(question, ranking, k) for k in (1, 5, 10, 50)}
    elif task == "cirr/subset":
        told = {f"Rs@{k}": recall(question, ranking, k) for k in (1, 2, 3)}
    elif task == "genecis/focus-object":
        told = {f"R@{k}": recall(question, ranking, k) for k in (1, 2, 3)}
    elif task == "circo/changes":
        for k in (5, 10, 25, 50):
            told[f"mAP@{k}"] = circo(question, ranking, k)
            told[f"R@{k}"] = recall(question, ranking, k)
        for aspect in question.aspects:
            told[f"mAP@10 {aspect}"] = circo(question, ranking, 10)
    elif task == "patterncom/color":
        told["mAP"] = found_only(question, ranking)
        for k in (5, 10, 15, 20):
            told[f"P@{k}"] = precision(question, ranking, k)
            told[f"recall@{k}"] = share(question, ranking, k)
    elif task == "ltll/today-to-archive":
        told["mAP"] = trapezoid(question, ranking)
        for k in (5, 10):
            told[f"P@{k}"] = precision(question, ranking, k) * k / min(k, len(question.relevant))
            told[f"recall@{k}"] = share(question, ranking, k)
    elif task == "edits/dev":
        fair = [name for name in ranking if name not in question.near]
        right = [name in question.relevant for name in kept(question, fair)]
        told = {f"R@{k}": float(any(right[:k])) for k in (1, 5, 10)}
        told["mAP"] = plain(question, fair)
        told["R@1 strict"] = float(kept(question, ranking)[0] in question.relevant)
    else:
        told = {f"R@{k}": recall(question, ranking, k) for k in (1, 5, 10)}
        told["mAP"] = plain(question, ranking)
    return told
