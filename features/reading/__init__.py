"""FHIR in, statements and events out: the rules by which resources are read."""
