"""The stack that many would build first: FastAPI, fhir.resources, LightGBM and a `shap` explainer.

FastAPI as https://fastapi.tiangolo.com/tutorial/body/ and https://fastapi.tiangolo.com/deployment/manually/ say, FHIR
validated as https://github.com/nazrulworld/fhir.resources says, contributions by `TreeExplainer.shap_values` as
https://shap.readthedocs.io/en/latest/generated/shap.TreeExplainer.html says. The features are the thirty of the
benchmark model, in plain Python, and the card names the largest contributions. No units are converted, no codes are
mapped, nothing is refused and no journal is written.

    python obvious_stack.py MODEL_FOLDER PORT
"""

import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import shap
import uvicorn
from fastapi import FastAPI
from fhir.resources.R4B.bundle import Bundle  # type: ignore[import-not-found]
from fhir.resources.R4B.patient import Patient  # type: ignore[import-not-found]

VITALS = ("8867-4", "9279-1", "8310-5", "59408-5", "8480-6", "8478-0")
SAMPLES = ("2160-0", "3094-0", "32693-4", "777-3", "6690-2", "2823-3")
DAY, TWO_DAYS = timedelta(hours=24), timedelta(hours=48)
SHOWN = 3

Series = list[tuple[datetime, float]]


def features_of(bundle: Any) -> np.ndarray:
    """Last, lowest, highest, mean value in a day of the vital signs, the last in two days of the samples: [1, 30]."""
    series: dict[str, Series] = {}
    for entry in bundle.entry or []:
        observation = entry.resource
        if observation.valueQuantity is None or observation.effectiveDateTime is None:
            continue
        for coding in observation.code.coding or []:
            point = (observation.effectiveDateTime, float(observation.valueQuantity.value))
            series.setdefault(coding.code, []).append(point)
    at = max((time for points in series.values() for time, _ in points), default=None)
    row: list[float] = []
    for code in VITALS:
        values = _window(series.get(code, []), at, DAY)
        row += [values[-1], min(values), max(values), sum(values) / len(values)] if values else [np.nan] * 4
    for code in SAMPLES:
        values = _window(series.get(code, []), at, TWO_DAYS)
        row.append(values[-1] if values else np.nan)
    return np.array([row])


def _window(points: Series, at: datetime | None, lookback: timedelta) -> list[float]:
    return [value for time, value in sorted(points) if at is not None and time > at - lookback]


def app_of(model_folder: Path) -> FastAPI:
    """The application."""
    booster = lightgbm.Booster(model_file=str(model_folder / "booster.txt"))
    explainer = shap.TreeExplainer(booster)
    names = booster.feature_name()
    app = FastAPI()

    @app.get("/cds-services")
    def discovery() -> dict[str, Any]:
        return {"services": [{"hook": "patient-view", "id": "benchmark", "description": "A made-up risk."}]}

    @app.post("/cds-services/benchmark")
    def benchmark(request: dict[str, Any]) -> dict[str, Any]:
        Patient.model_validate(request["prefetch"]["patient"])
        row = features_of(Bundle.model_validate(request["prefetch"]["observations"]))
        probability = float(booster.predict(row)[0])
        contributions = explainer.shap_values(row)[0]
        largest = np.argsort(-np.abs(contributions))[:SHOWN]
        detail = "\n".join(f"- {names[i]} {row[0, i]:g}: {contributions[i]:+.2f}" for i in largest)
        card = {
            "uuid": str(uuid.uuid4()),
            "summary": f"Made-up risk: {probability:.0%}",
            "detail": detail,
            "indicator": "warning" if probability > 0.5 else "info",
            "source": {"label": "benchmark"},
        }
        return {"cards": [card]}

    return app


if __name__ == "__main__":
    uvicorn.run(app_of(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), access_log=False)
