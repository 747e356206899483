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


def ks_p_value(statistic: float, first: int, second: int) -> float:
    """Chance of a KS statistic at least this large when two samples of these sizes have one distribution.

    Kolmogorov's series at λ = D (√n + .12 + .11/√n), n = first second / (first + second): Stephens' correction
    (J. R. Stat. Soc. B 32, 1970), within .01 of the exact value from samples of 20 on.
    """
    root = math.sqrt(first * second / (first + second))
    scaled = statistic * (root + 0.12 + 0.11 / root)
    if scaled < 0.2:  # the series no longer converges there; the chance is above 1 - 1e-12
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * math.fsum(terms)))


def extraction_strength(hits: Sequence[bool]) -> float:
    """Share of an answer that the model says by itself once the rest before it is given (arXiv 2406.09179).

    `hits` tell, token by token under teacher forcing, whether greedy decoding says the answer's token: the longest
    run of hits at the end is what it can finish, so 1 means the whole answer and 0 not even its last token.
    """
    if not hits:
        raise ValueError("extraction strength needs an answer of at least one token")
    last_miss = max((place for place, hit in enumerate(hits) if not hit), default=-1)
    return 1 - (last_miss + 1) / len(hits)
