"""The benchmark model as a HealthChain CDS Hooks service.

As https://healthchainai.github.io/HealthChain/cookbook/ml_model_deployment/ says: a CDSHooksService with a hook, the
prefetch flattened by `prefetch_to_bundle`, a Dataset made of it by a feature schema, a Pipeline that scores it, a Card.
Three things are kinder than the page: the schema is read once and not at each call, the score is ONNX Runtime's and not
a scikit-learn wrapper's, and every risk gets a card. A schema takes one aggregation for all features, so the mean of a
vital sign stands in for its last, lowest and highest value too: the numbers differ from ours, the work is less.

    python healthchain_service.py MODEL_FOLDER PORT
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from healthchain.fhir import prefetch_to_bundle  # type: ignore[import-not-found]
from healthchain.gateway import CDSHooksService, HealthChainAPI  # type: ignore[import-not-found]
from healthchain.io import Dataset  # type: ignore[import-not-found]
from healthchain.io.containers.featureschema import FeatureSchema  # type: ignore[import-not-found]
from healthchain.models import CDSRequest, CDSResponse  # type: ignore[import-not-found]
from healthchain.models.responses.cdsresponse import Card  # type: ignore[import-not-found]
from healthchain.pipeline import Pipeline  # type: ignore[import-not-found]

CODES = {  # the six vital signs with four columns each, then the six samples with one, in the model's order
    "heart_rate": "8867-4",
    "respiratory_rate": "9279-1",
    "temperature": "8310-5",
    "spo2": "59408-5",
    "systolic_pressure": "8480-6",
    "mean_pressure": "8478-0",
    "creatinine": "2160-0",
    "bun": "3094-0",
    "lactate": "32693-4",
    "platelets": "777-3",
    "wbc": "6690-2",
    "potassium": "2823-3",
}
COLUMNS_OF_EACH = (4,) * 6 + (1,) * 6
SCHEMA = {
    "name": "benchmark",
    "version": "1",
    "features": {
        name: {"fhir_resource": "Observation", "code": code, "code_system": "http://loinc.org", "required": False}
        for name, code in CODES.items()
    },
}


def pipeline_of(model_folder: Path) -> Any:
    """The pipeline that scores a Dataset."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(model_folder / "score.onnx"), options, providers=["CPUExecutionProvider"]
    )
    pipeline = Pipeline[Dataset]()

    @pipeline.add_node  # type: ignore[untyped-decorator]
    def run_inference(dataset: Any) -> Any:
        found = dataset.data[list(CODES)].to_numpy(dtype=np.float32)
        rows = np.repeat(found, COLUMNS_OF_EACH, axis=1)
        dataset.metadata["probabilities"] = session.run(["probability"], {"features": rows})[0]
        return dataset

    return pipeline


def app_of(model_folder: Path) -> Any:
    """The application."""
    pipeline, schema, service = pipeline_of(model_folder), FeatureSchema.from_dict(SCHEMA), CDSHooksService()

    @service.hook("patient-view", id="benchmark")  # type: ignore[untyped-decorator]
    def benchmark(request: Any) -> Any:
        dataset = Dataset.from_fhir_bundle(prefetch_to_bundle(request.prefetch), schema=schema)
        probability = float(pipeline(dataset).metadata["probabilities"][0])
        card = Card(
            summary=f"Made-up risk: {probability:.0%}",
            indicator="warning" if probability > 0.5 else "info",
            detail=f"Estimated risk: {probability:.1%}.",
            source={"label": "benchmark"},
        )
        return CDSResponse(cards=[card])

    benchmark.__annotations__.update(request=CDSRequest)
    app = HealthChainAPI(title="Benchmark", description="A made-up risk", service_type="cds-hooks")
    app.register_service(service, path="/cds")
    return app


if __name__ == "__main__":
    uvicorn.run(app_of(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), access_log=False)
