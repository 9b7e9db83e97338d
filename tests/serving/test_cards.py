"""The card: what a clinician reads, line by line, and whole in two languages.

The whole cards lie in tests/serving/golden/. After a change that is meant: `UPDATE_GOLDEN=1 pytest
tests/serving/test_cards.py`, then read the difference as a clinician would.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cds_hooks.response import CdsResponse, encode_response
from features.refusals import Reason, Refusals
from models.bundle import BandPerformance
from models.words import Language
from serving.assess import Assessment, ServedModel
from tests.bundles import served_linear
from tests.fhir_builders import Json, gentamicin, kidney_disease, observation, patient, quantity, vitals
from tests.serving.assessing import assessed, card_of, line, lines

GOLDEN = Path(__file__).parent / "golden"
# A patient who is not well, with something of everything: both directions, a change, a stale value, refusals.
ILL = (
    *vitals(),
    observation("creatinine", 2.4, 1.2),
    observation("heart_rate", 131, 0),
    observation("temperature", 35.1, 0.2),
    observation("systolic_pressure", 88, 0.4),
    observation("mean_pressure", 58, 40),
    kidney_disease(),
    gentamicin(10),
    observation("heart_rate", 40, of="p2"),
    observation("heart_rate", 40, -1),
    observation("creatinine", 3.0, valueQuantity=quantity(3.0, "furlong")),
    observation("creatinine", 3.1, valueQuantity=quantity(3.1, "furlong")),
)


def with_risk(found: Assessment, probability: float) -> Assessment:
    assert found.scored is not None
    return dataclasses.replace(found, scored=found.scored._replace(probability=probability))


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    ("name", "resources"), [("ill", ILL), ("ordinary", vitals()), ("insufficient", (*ILL[3:4], *ILL[7:]))]
)
def test_a_whole_card_reads_as_the_golden_one(
    name: str, resources: tuple[Json, ...], language: Language, linear: ServedModel
) -> None:
    card = card_of(assessed(linear, *resources), language)
    path = GOLDEN / f"{name}.{language}.json"
    document = json.loads(msgspec.json.encode(card))
    document["detail"] = document["detail"].split("\n")  # so that a difference shows the line
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert document == json.loads(path.read_text(encoding="utf-8"))


def test_the_same_assessment_gives_the_same_card(linear: ServedModel) -> None:
    first, second = (encode_response(CdsResponse(cards=(card_of(assessed(linear, *ILL)),))) for _ in range(2))
    assert first == second
    backwards = card_of(assessed(linear, *reversed(ILL)))
    assert encode_response(CdsResponse(cards=(backwards,))) == first


@pytest.mark.parametrize(
    ("probability", "summary", "frequency"),
    [
        (
            0.0004,
            "< 0.1 % – < 0.1× the average on the ward",
            "Fewer than 1 of 1,000 patients like this gets into trouble",
        ),
        (0.004, "0.4 % – 0.2× the average on the ward", "About 4 of 1,000 patients like this get into trouble"),
        (0.0096, "1 % – 0.5× the average on the ward", "About 1 of 100 patients like this gets into trouble"),
        (0.02, "2 % – about the average on the ward", "About 2 of 100 patients like this get into trouble"),
        (0.14, "14 % – 7× the average on the ward", "About 14 of 100 patients like this get into trouble"),
        (0.995, "> 99 % – 50× the average on the ward", "More than 99 of 100 patients like this get into trouble"),
    ],
)
def test_the_risk_is_told_in_percent_and_as_a_frequency(
    probability: float, summary: str, frequency: str, linear: ServedModel
) -> None:
    found = with_risk(assessed(linear, *vitals()), probability)
    assert card_of(found).summary == f"Risk of trouble in the next 12 h: {summary}"
    assert lines(found)[0].startswith(f"**{frequency} in the next 12 h.** ")


@pytest.mark.parametrize(
    ("probability", "frequency"),
    [
        (0.0004, "Weniger als 1 von 1000 Patienten wie diesem bekommt Ärger"),
        (0.0096, "Etwa 1 von 100 Patienten wie diesem bekommt Ärger"),
        (0.14, "Etwa 14 von 100 Patienten wie diesem bekommen Ärger"),
    ],
)
def test_one_patient_takes_the_singular_in_german_too(probability: float, frequency: str, linear: ServedModel) -> None:
    found = with_risk(assessed(linear, *vitals()), probability)
    assert lines(found, "de")[0].startswith(f"**{frequency} in den nächsten 12 h.** ")


@pytest.mark.parametrize(
    ("probability", "show_critical", "indicator"),
    [
        (0.01, True, "info"),
        (0.05, True, "warning"),
        (0.5, False, "warning"),
        (0.5, True, "critical"),
    ],
)
def test_the_indicator_is_critical_only_where_the_site_switched_it_on(
    probability: float,
    show_critical: bool,  # noqa: FBT001 - a column of the table
    indicator: str,
    linear: ServedModel,
) -> None:
    found = with_risk(assessed(linear, *vitals()), probability)
    assert card_of(found, show_critical=show_critical).indicator == indicator


def test_contributors_that_raise_and_that_lower_stand_apart_three_and_two_at_most_by_size(
    linear: ServedModel,
) -> None:
    base = assessed(linear, *ILL)
    sizes = {"creatinine": 2.0, "age": 1.9, "sex": 0.5, "heart_rate": 0.4, "temperature": -1.0}
    sizes |= {"aminoglycoside": -0.5, "chronic_kidney_disease": -0.2, "mean_pressure": 0.04}
    one = base.contributors[0]
    found = dataclasses.replace(
        base,
        contributors=tuple(
            msgspec.structs.replace(one, concept=concept, contribution=size, reading=None)
            for concept, size in sorted(sizes.items(), key=lambda item: -abs(item[1]))
        ),
    )
    told = [each for each in lines(found) if each.startswith(("- ", "**R", "**L"))]
    assert [each.split(" no ")[0].split(" not ")[0] for each in told] == [
        "**Raised this estimate**",
        "- ■■■■■ **Creatinine**",
        "- ■■■■■ **Age**",
        "- ■□□□□ **Sex**",
        "**Lowered this estimate**",
        "- ■■□□□ **Body temperature**",
        "- ■□□□□ **Aminoglycoside antibiotic**",
    ]


def test_what_moved_the_estimate_by_next_to_nothing_is_not_told(linear: ServedModel) -> None:
    base = assessed(linear, *vitals())
    found = dataclasses.replace(
        base, contributors=tuple(msgspec.structs.replace(one, contribution=0.049) for one in base.contributors)
    )
    assert "Raised this estimate" not in (card_of(found).detail or "")
    assert line(found, "No value") == "No value on its own moved this estimate much."


def test_an_explanation_that_was_dropped_is_said_to_be(tmp_path: Path) -> None:
    found = assessed(served_linear(tmp_path, leak=0.5), *vitals())
    assert "- ■" not in (card_of(found).detail or "")
    assert line(found, "explanation") == (
        "The explanation did not add up to this estimate and is left out. The risk itself is unaffected."
    )


def test_what_is_absent_stale_and_refused_is_said_another_patient_s_data_first(linear: ServedModel) -> None:
    found = assessed(linear, *ILL, who=patient(birthDate=None))
    assert line(found, "Not available") == "Not available: Age. The estimate takes this into account."
    assert line(found, "Too old") == "Too old to be used: Mean arterial pressure (40 h ago)."
    assert line(found, "Sent") == (
        "Sent, but not used: 1 × entry of another patient; 2 × Creatinine (unknown unit); 1 × Heart rate (later than "
        "this estimate)."
    )


def test_a_long_list_of_refusals_is_cut_and_counted(linear: ServedModel) -> None:
    refusals = Refusals()
    for number, reason in enumerate((Reason.STATUS, Reason.UNIT_UNKNOWN, Reason.TIME_INVALID, Reason.VALUE_MISSING)):
        refusals.add(reason, "creatinine", count=9 - number)
    refusals.add(Reason.OTHER_PATIENT)
    for usual in (Reason.CODE_NOT_MAPPED, Reason.RESOURCE_NOT_READ, Reason.DUPLICATE):
        refusals.add(usual, count=500)
    found = dataclasses.replace(assessed(linear, *vitals()), refusals=refusals)
    assert line(found, "Sent") == (
        "Sent, but not used: 1 × entry of another patient; 9 × Creatinine (not final or entered in error); "
        "8 × Creatinine (unknown unit); 7 × Creatinine (time not readable) and 1 more."
    )


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "|*_`~",
        "](https://evil.example)",
        "\n# Risk: 0 %\n",
        "{frequency}",
        "mg/dL\u202e",
    ],
)
def test_no_text_of_the_record_reaches_the_card(text: str, linear: ServedModel) -> None:
    hostile = observation(
        "creatinine",
        5,
        valueQuantity={"value": 5, "unit": text, "system": text, "code": text},
        code={"text": text, "coding": [*observation("creatinine", 1)["code"]["coding"], {"display": text}]},
        note=[{"text": text}],
        status="final",
    )
    who = patient(name=[{"family": text}], gender=text, birthDate=text)
    found = assessed(
        linear, *vitals(), hostile, {**hostile, "status": text}, kidney_disease(code={"text": text}), who=who
    )
    for language in ("en", "de"):
        told = encode_response(CdsResponse(cards=(card_of(found, language),))).decode()
        assert text not in msgspec.json.decode(told, type=dict[str, Any])["cards"][0]["detail"]
        assert json.dumps(text)[1:-1] not in told
        assert "evil" not in told


def test_below_the_minimum_data_the_card_says_what_is_needed_and_no_risk(linear: ServedModel) -> None:
    found = assessed(linear, observation("heart_rate", 80), observation("mean_pressure", 70, 30))
    card = card_of(found)
    assert card.indicator == "info"
    assert card.summary == "Risk of trouble in the next 12 h: no estimate, data are missing"
    assert lines(found) == [
        "**No estimate is shown, because too little is known.** This says nothing about the risk.",
        "",
        "- Needed: Creatinine from the last 72 h.",
        "- Needed: at least 2 of Heart rate, Body temperature, Systolic blood pressure from the last 24 h.",
        "",
        "Too old to be used: Mean arterial pressure (30 h ago).",
        "",
        "Estimate for 14 Mar 2026 10:30 CET.",
    ]


def test_what_training_always_had_is_asked_for(tmp_path: Path) -> None:
    served = served_linear(tmp_path, required_features=("age_years_since", "sex_last"))
    found = assessed(served, *vitals(), who=patient(birthDate=None, gender="unknown"))
    assert line(found, "Needed") == "- Needed: Age, Sex."


@pytest.mark.parametrize(
    ("as_of", "language", "expected"),
    [
        ("clock", "en", "Estimate for 14 Mar 2026 10:30 CET."),
        ("clock", "de", "Schätzung für 14. März 2026 10:30 CET."),
        (
            "latest-observation",
            "en",
            "Estimate for 14 Mar 2026 09:30 CET, the time of the latest value sent, not for now (demonstration mode).",
        ),
        (
            "latest-observation",
            "de",
            (
                "Schätzung für 14. März 2026 09:30 CET, den Zeitpunkt des letzten gesendeten Werts, nicht für jetzt "
                "(Demonstration)."
            ),
        ),
    ],
)
def test_the_card_says_for_which_time_it_is(as_of: Any, language: Language, expected: str, linear: ServedModel) -> None:
    assert expected in lines(assessed(linear, *vitals(), as_of=as_of), language)


@pytest.mark.parametrize(
    ("probability", "threshold"),
    [pytest.param(0.01, "4 %", id="low: where alarms begin"), pytest.param(0.3, "20 %", id="high: its own band")],
)
def test_the_card_says_how_good_an_alarm_is(probability: float, threshold: str, linear: ServedModel) -> None:
    found = with_risk(assessed(linear, *vitals()), probability)
    assert line(found, "How good") == (
        f"How good it is: at {threshold} or above, 9 of 100 alarms were right (one in 11), and 62 of 100 cases were "
        "found. Validated on random numbers, 5 folds by patient, 1 Feb 2026."
    )


def test_a_performance_that_nobody_knows_is_not_invented(linear: ServedModel) -> None:
    unknown = BandPerformance(sensitivity=0.0, ppv=None, alert_rate=0.0, number_needed_to_evaluate=None)
    performance = msgspec.structs.replace(linear.bundle.performance, bands={"raised": unknown, "high": unknown})
    served = dataclasses.replace(linear, bundle=dataclasses.replace(linear.bundle, performance=performance))
    found = dataclasses.replace(assessed(linear, *vitals()), served=served)
    assert line(found, "How good") == (
        "How good it is: alarms at 4 % or above could not be judged. Validated on random numbers, 5 folds by patient, "
        "1 Feb 2026."
    )


def test_a_card_names_its_model_its_facts_and_the_reasons_to_override_it(linear: ServedModel) -> None:
    card = card_of(assessed(linear, *vitals()))
    assert card.uuid == "a-uuid"
    assert card.source.label == "Bedside · Trouble 1.2.0 · research model, not a medical device"
    assert card.source.url == card.links[0].url == "https://bedside.example/models/tiny"
    assert len(card.override_reasons) == 6
    assert card.suggestions == ()
