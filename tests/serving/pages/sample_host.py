"""A small server to look at: one service that answers by rule, with four synthetic patients."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import FastAPI

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import MissingData
from cds_hooks.feedback import FeedbackEntry
from cds_hooks.request import CdsRequest
from cds_hooks.response import (
    Card,
    CdsResponse,
    Coding,
    Indicator,
    Link,
    OverrideReason,
    Source,
    Suggestion,
    encode_response,
)
from cds_hooks.router import cds_router
from cds_hooks.security.caller import Caller
from serving.pages import PageService, Sample, pages_router

REASONS = "https://terminology.hl7.org/CodeSystem/override-reason"

SUMMARIES = {
    "en": "Sepsis risk in the next 12 h: 14 % — 7× the ward average",
    "de": "Sepsisrisiko in den nächsten 12 h: 14 % — das 7-Fache des Stationsmittels",
}

DETAIL = """About **14 of 100** patients like this develop sepsis within 12 hours.

### Raised this estimate

| Finding | Value | Change | Contribution |
| :--- | ---: | ---: | :--- |
| Lactate | 3.4 mmol/L (1 h ago) | +1.6 | `██████▌` |
| Respiratory rate | 26 /min (10 min ago) | +8 | `████▏` |
| Mean arterial pressure | 61 mmHg (10 min ago) | −12 | `███` |

**Lowered this estimate**

- ■■□□□ **Temperature** 37.1 °C (reference 36.1–37.2 °C), 40 min ago (08:20), −0.4 °C since 04:10.
- ■□□□□ **Platelets** 240 G/L (reference 150–400 G/L), 3 h ago (06:00), unchanged since yesterday 06:05. A count in
  the usual range speaks against disseminated coagulation.

Missing: *procalcitonin*, bilirubin. <script>document.title = "owned"</script>
"""

MODEL_CARD = """# Sepsis within 12 hours

A research model for **adult intensive care**. [Reyna et al. 2020](https://doi.org/10.1097/CCM.0000000000004145).

## Intended use

- Adults in intensive or intermediate care
- A prompt to look, never an order

## Performance

### Internal

| Measure | Value | 95 % interval |
| --- | ---: | :---: |
| AUROC | 0.84 | 0.83 to 0.85 |
| AUPRC (prevalence 1.8 %) | 0.12 | 0.11 to 0.13 |

### External

`set_b_open` says less. ![a plot](https://elsewhere.example/plot.png)

## Performance

Said again.
"""

_INDICATORS: dict[str, Indicator] = {"low": "info", "middle": "warning", "high": "critical"}


@dataclass(slots=True, kw_only=True)
class SampleHost:
    """Services and PageHost in one. The patient's id decides the answer."""

    registry: ServiceRegistry
    feedback_taken: list[FeedbackEntry] = field(default_factory=list)

    def services(self) -> tuple[PageService, ...]:
        return (PAGE_SERVICE, WITHOUT_SAMPLES)

    async def call(
        self,
        service_id: str,  # noqa: ARG002 - the protocol's
        request: CdsRequest,
        headers: Mapping[str, str],
        caller: Caller | None,  # noqa: ARG002 - the protocol's
    ) -> bytes:
        if request.patient_id == "unknown":
            raise MissingData("Expected at least one vital sign; none came. Send the prefetch key vitals.")
        if request.patient_id == "quiet":
            return encode_response(CdsResponse(cards=()))
        language = "de" if headers.get("accept-language", "").startswith("de") else "en"
        card = example_card(indicator=_INDICATORS[request.patient_id], summary=SUMMARIES[language])
        return encode_response(CdsResponse(cards=(card,)))

    async def feedback(
        self,
        service_id: str,  # noqa: ARG002 - the protocol's
        entries: tuple[FeedbackEntry, ...],
        caller: Caller | None,  # noqa: ARG002 - the protocol's
    ) -> None:
        self.feedback_taken.extend(entries)


def example_card(*, indicator: Indicator, summary: str) -> Card:
    return Card(
        uuid="6f6f5ae9-59a1-4d5c-9d3a-6f1fa8c2a0b1",
        summary=summary,
        indicator=indicator,
        detail=DETAIL,
        source=Source(
            label="Sepsis 1.2.0, research model, not a medical device",
            url="https://bedside.example/models/sepsis",
            topic=Coding(code="91302008", system="http://snomed.info/sct", display="Sepsis"),
        ),
        links=(
            Link(label="Model facts", url="https://bedside.example/models/sepsis", type="absolute"),
            Link(label="Trend", url="https://bedside.example/launch", type="smart"),
        ),
        suggestions=(Suggestion(uuid="look", label="Look at the patient now", is_recommended=True),),
        selection_behavior="any",
        override_reasons=(
            OverrideReason(code="patient-preference", system=REASONS, display="Against the patient's wishes"),
            OverrideReason(code="aware", system=REASONS, display="Already known and treated"),
        ),
    )


def app_of(host: SampleHost) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(cds_router(host))
    app.include_router(pages_router(host))
    return app


def new_host() -> SampleHost:
    description = ServiceDescription(
        hook="patient-view",
        id="sepsis",
        title="Sepsis within 12 hours",
        description="Risk of sepsis in the next 12 hours for adults in intensive or intermediate care.",
        prefetch={"vitals": "Observation?patient={{context.patientId}}&category=vital-signs"},
    )
    return SampleHost(registry=ServiceRegistry(services=(description,)))


def _sample(patient_id: str, title: str, note: str) -> Sample:
    observation = {"resource": {"resourceType": "Observation", "status": "final", "valueQuantity": {"value": 92.0}}}
    request = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/ward", "patientId": patient_id},
        "prefetch": {"vitals": {"resourceType": "Bundle", "type": "searchset", "entry": [observation] * 40}},
    }
    return Sample(id=patient_id, title=title, note=note, request=json.dumps(request).encode())


PAGE_SERVICE = PageService(
    id="sepsis",
    title="Sepsis within 12 hours",
    description="Risk of sepsis in the next 12 hours for adults in intensive or intermediate care.",
    hooks=("patient-view",),
    version="1.2.0",
    released="2026-03-01",
    status_line="Research model, not a medical device. Live, not validated at this site.",
    model_card=MODEL_CARD,
    samples=(
        _sample("low", "Low risk", "Stable on the ward, day 3 after hip surgery"),
        _sample("middle", "Middle risk", "Rising respiratory rate, lactate 2.1 mmol/L"),
        _sample("high", "High risk", "Hypotension, lactate 3.4 mmol/L"),
        _sample("quiet", "No guidance", "The service has nothing to say"),
        _sample("unknown", "Missing data", "No vital signs were sent"),
    ),
)

WITHOUT_SAMPLES = PageService(
    id="kidney",
    title="Acute kidney injury within 48 hours",
    description="Risk of acute kidney injury, stage 2 or worse.",
    hooks=("patient-view", "order-sign"),
    version="0.1.0",
    released="",
    status_line="Research model, not a medical device.",
    model_card="",
    samples=(),
)
