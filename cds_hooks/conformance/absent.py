"""What to say of requirements that speak of something that no answer had."""

from collections.abc import Collection, Iterator

from cds_hooks.conformance.exchange import Answer
from cds_hooks.conformance.finding import Finding, not_applicable, unseen
from cds_hooks.conformance.guidance import guidance

_CARD = "no card was shown; --request names a synthetic request that gets one"
_ABOUT_CARDS = {
    **dict.fromkeys(("C-02", "C-03", "C-04", "C-20", "C-22", "C-24"), _CARD),
    "C-05": "no source had a url",
    "C-07": "no coding was shown",
    "C-08": "no card had a uuid",
    "C-09": "no card had a detail",
    "C-10": "no card had suggestions",
    "C-11": "no card had suggestions of which at most one may be taken",
    "C-12": "no card had override reasons",
    "C-15": "no source had a url",
    "C-16": _CARD,
    "C-23": "no source had a url",
    **dict.fromkeys(("S-01", "S-02", "S-03", "S-04", "S-10"), "no suggestion had it"),
    **dict.fromkeys(("J-05", "S-05", "S-06", "S-07", "S-09"), "no such action was shown"),
    **dict.fromkeys(("L-01", "L-02", "L-03", "L-04", "L-05"), "no link had it"),
    "Y-01": "no system actions were sent",
    "E-01": "no extension was sent",
    "E-02": "no extension was sent",
}
_OF_SOME_SERVICES = {
    "P-03": "no template has a token of the context",
    "P-02": "no template has a token",
    "P-04": "no template has a token of a hook of the library",
    "P-05": "no template has a token",
    "R-09": "the context has no patientId",
    "R-10": "the hook requires nothing but a patient",
    "R-23": "no hook with drafts",
    "R-27": "no hook of the library with a user",
    "R-28": "no hook of the library with an optional encounter",
    "X-01": "no prefetch templates",
    "X-02": "no prefetch templates",
    "X-03": "no prefetch templates",
    "X-04": "no prefetch templates",
    "X-05": "no template is a search",
    "X-18": "no template is a search",
    "X-25": "no template asks for the patient",
    "X-26": "no prefetch templates",
    "X-31": "no template asks for Observations or the patient",
}


def absent_findings(found: Collection[str], answers: Collection[Answer], *, services: int) -> Iterator[Finding]:
    """Not applicable, where answers were seen and had nothing of it; unseen, where none were."""
    answered = [said for answer in answers if (said := guidance(answer)) is not None]
    for requirement_id, why in _ABOUT_CARDS.items():
        if requirement_id not in found:
            yield not_applicable(requirement_id, why) if answered else unseen(requirement_id, "no answer had cards")
    for requirement_id, why in _OF_SOME_SERVICES.items():
        if requirement_id not in found:
            yield not_applicable(requirement_id, why) if services else unseen(requirement_id, "no service to call")
    if "Y-02" not in found:
        yield unseen("Y-02", "no call was answered")
    if "C-13" not in found:
        yield unseen("C-13", "every answer had cards" if answered else "no call was answered")
