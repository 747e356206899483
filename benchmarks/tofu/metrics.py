"""The measures of the paper (arXiv 2401.06121, section 2.2): numbers in, numbers out.

Likelihoods come as mean log-probabilities per answer token, in nats: P(a|q)^(1/|a|) is their exponential. The truth
ratio R is `unlearn_engine.evaluate.metrics.log_truth_ratio` with a paraphrase of the answer as the true one and its
false variants as the wrong ones (arithmetic mean, equation 1; the authors' code takes the geometric one).
"""

import math
from collections.abc import Sequence
from functools import cache
from statistics import fmean, harmonic_mean
from typing import Any

from unlearn_engine.evaluate.metrics import ks_p_value, ks_statistic


def probability(score: float) -> float:
    """P(a|q)^(1/|a|), for questions about the invented authors."""
    return math.exp(score)


def choice_probability(score: float, others: Sequence[float]) -> float:
    """Share of the answer among all choices, for real authors and world facts.

    Length-normalised as in the authors' code; the paper's formula leaves that open.
    """
    return 1 / (1 + math.fsum(math.exp(other - score) for other in others))


def retained_truth(log_ratio: float) -> float:
    """max(0, 1 - R): 1 when the false answers have no chance."""
    return max(0.0, 1 - math.exp(min(log_ratio, 0.0)))


def forgotten_truth(log_ratio: float) -> float:
    """min(R, 1/R): 1 when true and false are equally likely, so that nothing can be told from the difference."""
    return math.exp(-abs(log_ratio))


def rouge_l_recall(said: str, answer: str) -> float:
    """Share of the answer's words, stemmed, in the longest common subsequence with what is said."""
    return float(_scorer().score(answer, said)["rougeL"].recall)


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def model_utility(parts: Sequence[float]) -> float:
    """Harmonic mean of the nine numbers: one that is 0 makes all 0. Raises ValueError if they are not nine."""
    if len(parts) != 9:
        raise ValueError(f"model utility is made of 3 measures on 3 sets, not of {len(parts)} numbers")
    return harmonic_mean(parts)


def forget_quality(log_ratios: Sequence[float], retain_only: Sequence[float]) -> tuple[float, float]:
    """KS statistic D of the truth ratios on the forget set against the retain-only model's, and its p: the quality.

    The logarithm does not matter to either. D is told because p depends on the number of questions.
    """
    statistic = ks_statistic(log_ratios, retain_only)
    return statistic, ks_p_value(statistic, len(log_ratios), len(retain_only))


def geometric_log_ratio(true_score: float, wrong_scores: Sequence[float]) -> float:
    """The log truth ratio as the authors' code computes it, with the geometric mean of the false answers."""
    return fmean(wrong_scores) - true_score
