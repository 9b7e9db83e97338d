"""Reach: when a page of a search, newest first, goes back so far that no next page matters to a model."""

import math
from collections.abc import Callable

import msgspec

from features.events import MICROSECONDS_PER_HOUR
from features.feature import FeatureSet
from features.prefetch import page_reaches
from features.reading.scan.searchset import Searchset, text_of
from features.vocabulary.concept import Vocabulary
from serving.access.plan import Enough

NEWEST_FIRST = ("observations", "reports")
"""How the keys begin whose templates sort by time (`features.prefetch`)."""


def reaches_back(longest_hours: float, index_time: Callable[[], int | None]) -> Enough:
    """Whether a page goes back beyond all that the model looks at in Observations.

    Args:
        longest_hours: how far back that is (`longest_lookback_hours`).
        index_time: UTC microseconds; None where it is not known, and then no page suffices. Asked only where there is
            a next page. An earlier time than that of the assessment is safe: it asks for more.
    """

    def enough(key: str, page: msgspec.Raw | Searchset) -> bool:
        if not key.startswith(NEWEST_FIRST) or not math.isfinite(longest_hours):
            return False
        at = index_time()
        return at is not None and page_reaches(text_of(page), at - round(longest_hours * MICROSECONDS_PER_HOUR))

    return enough


def longest_lookback_hours(features: FeatureSet, vocabulary: Vocabulary) -> float:
    """How far back the model looks in Observations; infinite where a feature has no window, or reads none."""
    measured = [name for name in features.concepts if vocabulary.concept(name).kind == "observation"]
    return max((features.longest_lookback_hours(name) for name in measured), default=math.inf)
