"""Which time counts: when something was measured or began, when it ended, and when it could first be known.

| resource | time | known |
| --- | --- | --- |
| Observation | effectiveDateTime, effectiveInstant, effectivePeriod (end, else start), issued | issued, if later |
| Observation without any of them, or without `issued` | those of a DiagnosticReport that has it as a result | as it |
| Condition | onset (dateTime, start of period), else recordedDate | recordedDate, where later |
| Procedure | performed (dateTime, start of period) | the same |
| MedicationRequest, ServiceRequest | authoredOn | the same |
| MedicationAdministration | effective (dateTime, start of period) | the same |
| MedicationStatement | effective (dateTime, start of period), else dateAsserted | dateAsserted, where later |
| Encounter | start of period | the same |

A sample is drawn at one time and its result known at another: features look at the first, but never before the
second. A measured value needs a time of day. Where a day is enough (a diagnosis, a drug), a date counts from its end,
so that nothing is used before it was true, and an end that is a date from the end of that day.
"""

from features import times
from features.reading import fhir
from features.reading.interpreter import Refused
from features.reading.statements import When
from features.refusals import Reason
from features.times import LATEST

__all__ = ["LATEST", "at_latest", "end_of", "report_times", "when_of"]


def when_of(observation: fhir.Observation) -> When | Refused:
    """When a value was measured: effective dateTime, instant or end of period, else issued.

    A result drawn at 8 and issued at 10 has the time 8 and is known from 10 on. A period counts at its end,
    when its value is complete; an open one at its start.
    """
    effective = observation.effectiveDateTime
    if effective is None:
        if observation.effectiveTiming is not fhir.NOTHING:
            return Refused(Reason.TIME_IMPRECISE)  # a schedule is no time at which something was measured
        if _runs_backwards(observation.effectivePeriod):
            return Refused(Reason.TIME_INVALID)
        effective = _other_effective(observation)
    return measured_at(effective, observation.issued)


def measured_at(effective: str | None, issued: str | None) -> When | Refused:
    """When a value was measured and when it was known, from the two times of an Observation."""
    if effective is None:
        return Refused(Reason.TIME_MISSING)
    try:
        span = times.parse(effective)
        known = span.last if issued is None else times.parse(issued).last
    except ValueError:
        return Refused(Reason.TIME_INVALID)
    if not span.is_instant:
        return Refused(Reason.TIME_IMPRECISE)
    return When(span.first, max(span.first, known))


def at_latest(start: str | None, recorded: str | None = None, *, ended: str | None = None) -> When | Refused:
    """When something began, at the latest that its dates allow, and when it was recorded, if that is later.

    A date without a time of day counts from its end: never before it was true. Only where it was recorded or ended
    within that time ("since 2026", noted in March) had it begun by then. What has no beginning and was over before it
    was recorded had begun when it ended.
    """
    try:
        begun = None if start is None else times.parse(start)
        noted = None if recorded is None else times.parse(recorded).last
        over = None if ended is None else times.parse(ended).last
    except ValueError:
        return Refused(Reason.TIME_INVALID)
    if begun is None:
        if noted is None:
            return Refused(Reason.TIME_MISSING)
        return When(noted if over is None else min(noted, over), noted)
    time = min(one for one in (begun.last, noted, over) if one is not None and one >= begun.first)
    return When(time, time if noted is None else max(time, noted))


def end_of(when: When, end: str | None, *, open_end: bool) -> int | Refused:
    """Until when something held that began at `when`.

    Args:
        when: its beginning.
        end: its end as recorded; a date includes its day.
        open_end: whether it still holds where no end was recorded; if not, nobody knows how long it did, and it
            counts as a point.
    """
    if end is None:
        return LATEST if open_end else when.time
    try:
        until = times.parse(end).last
    except ValueError:
        return Refused(Reason.TIME_INVALID)
    return Refused(Reason.TIME_INVALID, "ends before it begins") if until < when.time else until


def report_times(report: fhir.DiagnosticReport) -> tuple[int | None, int | None]:
    """The time of the samples of a DiagnosticReport, if it is an instant, and when it was issued."""
    period = report.effectivePeriod or fhir.Period()
    effective = report.effectiveDateTime or period.end or period.start
    span, issued = _span(effective), _span(report.issued)
    time = span.first if span is not None and span.is_instant else None
    return time, None if issued is None else issued.last


def _span(text: str | None) -> times.Span | None:
    """A time that something else may lack; one that cannot be read is as good as none."""
    try:
        return None if text is None else times.parse(text)
    except ValueError:
        return None


def _runs_backwards(period: fhir.Period | None) -> bool:
    start, end = (_span(text) for text in (period.start, period.end)) if period is not None else (None, None)
    return start is not None and end is not None and end.last < start.first


def _other_effective(observation: fhir.Observation) -> str | None:
    period = observation.effectivePeriod or fhir.Period()
    candidates = (observation.effectiveInstant, period.end, period.start, observation.issued)
    return next((text for text in candidates if text is not None), None)
