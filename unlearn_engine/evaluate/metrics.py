"""Pure measures: no model, no text, numbers in and numbers out."""

import bisect
import math
from collections.abc import Sequence


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
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(successes, trials, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(successes: int, trials: int, rate: float) -> float:
    """The binomial distribution function."""
    return math.fsum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(successes + 1))


def log_truth_ratio(true_score: float, wrong_scores: Sequence[float]) -> float:
    """log of (mean likelihood of the wrong answers / likelihood of the true one) from mean log-likelihoods, in nats.

    Low (very negative) for a model that knows; around or above zero for one that does not. As in TOFU
    (arXiv 2401.06121), with wrong answers that other people have in place of paraphrased perturbations.
    """
    highest = max(wrong_scores)
    mean = math.fsum(math.exp(score - highest) for score in wrong_scores) / len(wrong_scores)
    return highest + math.log(mean) - true_score
