"""Instants: a column of FHIR times means what each of them means alone, whatever stands beside it."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features import times
from features.reading.instants import instants
from tests.features.reading.resources import NOON, observation, read

ZONES = ("Z", "+00:00", "-00:00", "+01:00", "-03:30", "+05:45", "+14:00", "-14:00")
NO_ZONES = ("", "z", "+15:00", "+01:60", "+0100", ",01:00", " 01:00", "+1:00", "UTC", "+١٢:00")


def instant_or_none(text: str) -> int | None:
    """What `times.parse` says of an instant; None for a date and for what is none."""
    try:
        span = times.parse(text)
    except ValueError:
        return None
    return span.first if span.is_instant else None


def clocks(*, real: bool) -> st.SearchStrategy[str]:
    """Dates with a time of day: real ones, or digits where digits belong."""
    stamps = st.datetimes().map(lambda one: one.isoformat(timespec="seconds"))
    digits = st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", fullmatch=True)
    fractions = st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,10}", fullmatch=True))
    whole = st.builds("{}{}".format, stamps if real else digits, fractions)
    return st.one_of(whole, stamps.map(lambda one: one[:-3]))


usual = st.builds("{}{}".format, clocks(real=True), st.sampled_from(ZONES))
CLOCK = times.EPOCH_CLOCK


def of_our_time(zones: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """Instants of the years that are taken at once, to a second or finer."""
    stamps = st.datetimes(CLOCK.replace(year=1000), CLOCK.replace(year=2999))
    fractions = st.one_of(st.just(""), st.integers(1, 9).map(lambda digits: f".{'123456789'[:digits]}"))
    clock = st.builds("{:%Y-%m-%dT%H:%M:%S}{}".format, stamps, fractions)
    return st.lists(st.builds("{}{}".format, clock, st.sampled_from(zones)), max_size=12)


odd = st.one_of(
    st.builds("{}{}".format, clocks(real=False), st.sampled_from([*ZONES, *NO_ZONES])),
    st.sampled_from(["", "2026", "2026-11", "2026-11-24", "2026-W48-2T05:13:00Z", "2026-11-24 05:13:00Z"]),
    st.text(max_size=32),
)


@given(st.lists(st.one_of(usual, odd), max_size=12))
@example(["2026-11-24T05:13:00Z", "2026-02-30T05:13:00Z", "2026-11-24T24:00:00Z", "2026-11-24T05:13:60Z"])
@example(["2026-11-24T05:13:00,01:00", "2026-11-24T05:13:00+01:00"])
@example(["2026-11-24 05:13:00+01:00"])
@example(["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@example(["2026-11-24T05:13:00\u0661Z", "2026-11-24T05:13:00.1Z"])
def test_a_column_of_times_means_what_each_of_them_means_alone(texts: list[str]) -> None:
    """What is taken at once is what is read singly; what is left to be read singly is named."""
    found, singly = instants(texts)
    assert found.dtype == np.int64
    assert len(found) == len(texts)
    taken = [i for i in range(len(texts)) if i not in singly]
    assert [instant_or_none(texts[i]) for i in taken] == found[taken].tolist()
    assert singly == sorted(set(singly))


@given(st.one_of(of_our_time(ZONES[:1]), of_our_time(ZONES[1:])))
def test_instants_of_our_time_are_all_taken_at_once(texts: list[str]) -> None:
    assert instants(texts)[1] == []


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param("2026-02-30T12:00:00Z", id="a day that is none"),
        pytest.param("2026-11-24T25:00:00Z", id="an hour that is none"),
        pytest.param("2026-11-24T12:00:00+15:00", id="an offset that is none"),
        pytest.param("2026-11-24", id="a date"),
        pytest.param("yesterday", id="a word"),
        pytest.param("2026-11-24T12:00:00", id="no offset"),
    ],
)
def test_a_time_that_is_none_costs_itself_and_not_its_neighbours(beside: str) -> None:
    found = read(*[observation(effectiveDateTime=time) for time in (NOON, beside, "2026-11-24T13:30:00+01:00")])
    assert [one.time for one in found.events] == ["2026-11-24T12:00", "2026-11-24T12:30"]
    assert len(found.refusals) == 1
