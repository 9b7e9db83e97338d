"""The benchmark model: 300 trees × 31 leaves × 30 features of real concepts, served as any model is.

What it is and where it lies; benchmarks.make_model trains it. The risk that it gives means nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.feature import Aggregate, Aggregation, FeatureSet
from models.bundle import Bundle, load
from models.catalog import CatalogEntry
from models.spec import MinimumData, ModelSpec, RiskBand, ThresholdRule
from models.words import Language, ModelWords

BENCHMARK = "benchmark"

DAY_HOURS, TWO_DAYS_HOURS = 24.0, 48.0
VITALS = ("heart_rate", "respiratory_rate", "temperature", "spo2", "systolic_pressure", "mean_pressure")
VITAL_AGGREGATIONS = (Aggregation.LAST, Aggregation.MIN, Aggregation.MAX, Aggregation.MEAN)
SAMPLES = ("creatinine", "bun", "lactate", "platelets", "wbc", "potassium")

FloatMatrix = NDArray[np.float32]


def benchmark_ids(count: int) -> tuple[str, ...]:
    """Service ids of so many copies of the model, for a server with more than one."""
    return (BENCHMARK, *(f"{BENCHMARK}-{number}" for number in range(2, count + 1)))


def benchmark_spec(model_id: str = BENCHMARK) -> ModelSpec:
    """Thirty features: four numbers of a day of six vital signs, the last value in two days of six samples."""
    day = (
        Aggregate(concept=concept, aggregation=aggregation, lookback_hours=DAY_HOURS)
        for concept in VITALS
        for aggregation in VITAL_AGGREGATIONS
    )
    two_days = (
        Aggregate(concept=concept, aggregation=Aggregation.LAST, lookback_hours=TWO_DAYS_HOURS) for concept in SAMPLES
    )
    return ModelSpec(
        id=model_id,
        title="Benchmark",
        description="Thirty features, 300 trees of 31 leaves, trained on random numbers. Measures speed, no risk.",
        version="1",
        hooks=("patient-view",),
        target="a made-up outcome within 6 hours",
        horizon_hours=6.0,
        population="Nobody",
        features=FeatureSet((*day, *two_days)),
        minimum_data=(MinimumData(concepts=VITALS, at_least=2, within_hours=DAY_HOURS),),
        bands=(
            RiskBand(id="low", indicator="info"),
            RiskBand(id="raised", indicator="warning", rule=ThresholdRule(kind="times_base_rate", value=1.5)),
            RiskBand(id="high", indicator="critical", rule=ThresholdRule(kind="times_base_rate", value=2.5)),
        ),
        families=(("mean_pressure", "systolic_pressure"),),
        intended_use="Measuring speed.",
        out_of_scope="Patients.",
        licence="Apache-2.0",
    )


WORDS: Mapping[Language, ModelWords] = {
    "en": ModelWords(
        title="Benchmark",
        outcome="Made-up risk",
        horizon="in the next 6 h",
        event="have the made-up outcome",
        event_one="has the made-up outcome",
        comparison="the average of the random numbers",
        caveat="the estimate was trained on random numbers and says nothing about anybody.",
        names={},
        phrases={},
        version="1",
    ),
    "de": ModelWords(
        title="Messmodell",
        outcome="Erfundenes Risiko",
        horizon="in den nächsten 6 h",
        event="haben das erfundene Ereignis",
        event_one="hat das erfundene Ereignis",
        comparison="der Durchschnitt der Zufallszahlen",
        caveat="Die Schätzung beruht auf Zufallszahlen und sagt über niemanden etwas aus.",
        names={},
        phrases={},
        version="1",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkModel:
    """What lies in the cache folder; other servers are given the same booster, graph and rows.

    Attributes:
        folder: with one bundle a service id, `booster.txt` (LightGBM's own text form), `score.onnx` and
            `rows.npy`.
    """

    folder: Path

    @property
    def booster(self) -> Path:
        """The trained trees as LightGBM saves them."""
        return self.folder / "booster.txt"

    @property
    def score(self) -> Path:
        """The scoring part of the graph: `features` to `logit` and `probability`, without contributions."""
        return self.folder / "score.onnx"

    @property
    def rows(self) -> FloatMatrix:
        """Rows float32[N, 30] like those it was trained on, NaN where missing."""
        found: FloatMatrix = np.load(self.folder / "rows.npy")
        return found

    @property
    def graph(self) -> bytes:
        """The exported graph."""
        return (self.bundle_folder(BENCHMARK) / "model.onnx").read_bytes()

    def bundle_folder(self, model_id: str) -> Path:
        """Where the bundle of a service id lies."""
        return self.folder / model_id

    def entry(self, model_id: str = BENCHMARK) -> CatalogEntry:
        """The model as the catalog would hold it."""
        return CatalogEntry(spec=benchmark_spec(model_id), words=WORDS, folder=self.bundle_folder(model_id))

    def bundle(self, model_id: str = BENCHMARK) -> Bundle:
        """The bundle, held against its specification."""
        return load(self.bundle_folder(model_id), benchmark_spec(model_id))
