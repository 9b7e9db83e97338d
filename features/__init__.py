"""Ground floor: FHIR in, numbers out."""
