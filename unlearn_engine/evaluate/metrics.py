"""Pure measures: no model, no text, numbers in and numbers out."""

import bisect
import math
from collections.abc import Sequence

_PRECISION = 1e-10
_TERMS = 2_000  # of a binomial sum, from the largest down; those after them add nothing


def ks_statistic(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sample Kolmogorov-Smirnov D: the largest distance between the empirical distribution functions."""
    if not first or not second:
        raise ValueError("the KS statistic needs two non-empty samples")
    left, right = sorted(first), sorted(second)
    return max(
        abs(bisect.bisect_right(left, value) / len(left) - bisect.bisect_right(right, value) / len(right))
        for value in (*left, *right)
    )


def upper_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """Clopper-Pearson one-sided upper bound of a rate: there, `successes` or fewer have chance 1 - confidence."""
    if trials == 0 or successes >= trials:
        return 1.0
    low, high = successes / trials, 1.0
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(successes, trials, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(successes: int, trials: int, rate: float) -> float:
    """The binomial distribution function, for rates above successes / trials."""
    hit, missed, whole = math.log(rate), math.log1p(-rate), math.lgamma(trials + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * hit + (trials - k) * missed)
        for k in range(successes, max(-1, successes - _TERMS), -1)
    )


def log_truth_ratio(true_score: float, wrong_scores: Sequence[float]) -> float:
    """log of (mean likelihood of the wrong answers / likelihood of the true one) from mean log-likelihoods, in nats.

    Low (very negative) for a model that knows; around or above zero for one that does not. As in TOFU
    (arXiv 2401.06121), with wrong answers that other people have in place of paraphrased perturbations.
    """
    highest = max(wrong_scores)
    mean = math.fsum(math.exp(score - highest) for score in wrong_scores) / len(wrong_scores)
    return highest + math.log(mean) - true_score


def ks_p_value(statistic: float, first: int, second: int) -> float:
    """Chance of a KS statistic at least this large when two samples of these sizes have one distribution.

    Exact, the far tail too: all orders in which the samples can be mixed. Read in order, the next value is of the first
    sample with chance (left of it) / (left of both), a walk on a grid; the statistic is reached when the walk comes so
    far from the diagonal. `row[j]` is the chance to come to (i, j) before; what steps over is summed.
    """
    bound = statistic - 1e-12
    if bound <= 0:
        return 1.0
    low, row, reached = 0, [0.0] * (second + 1), 0.0
    for i in range(first + 1):
        above, row, from_here = row, [0.0] * (second + 1), low
        low = max(0, math.floor((i / first - bound) * second) + 1)
        high = min(second, math.ceil((i / first + bound) * second) - 1)
        for j in range(from_here, min(second, high + 1) + 1):
            left = first - i + second - j
            from_first = above[j] * (first - i + 1) / (left + 1) if i else 0.0
            from_second = row[j - 1] * (second - j + 1) / (left + 1) if j else 0.0
            chance = from_first + from_second if i or j else 1.0
            if low <= j <= high:
                row[j] = chance
            else:
                reached += chance
    return min(1.0, reached)


def extraction_strength(hits: Sequence[bool]) -> float:
    """Share of an answer that the model says by itself once the rest before it is given (arXiv 2406.09179).

    `hits` tell, token by token under teacher forcing, whether greedy decoding says the answer's token: the longest
    run of hits at the end is what it can finish, so 1 means the whole answer and 0 not even its last token.
    """
    if not hits:
        raise ValueError("extraction strength needs an answer of at least one token")
    last_miss = max((place for place, hit in enumerate(hits) if not hit), default=-1)
    return 1 - (last_miss + 1) / len(hits)
