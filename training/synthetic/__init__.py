"""The synthetic cohort: FHIR of invented inpatients for the demonstration, and a FHIR search over such files."""

from training.synthetic.generate import GeneratedCohort, generate
from training.synthetic.orders import drafts_at
from training.synthetic.query import SearchError
from training.synthetic.requests import sample_request
from training.synthetic.search import PatientResources, read_patients

__all__ = [
    "GeneratedCohort",
    "PatientResources",
    "SearchError",
    "drafts_at",
    "generate",
    "read_patients",
    "sample_request",
]
