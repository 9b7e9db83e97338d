"""Extraction: a hospital's FHIR becomes events, on one core, on all cores, or on a cluster.

Two pure functions do the work, each of a small task: `read_share` reads a range of a file and spills what it states,
cut by patient; `settle_partition` settles the statements about the patients of one partition and writes their events.
Who runs them, and where, is a crew (`crew`, `cluster`). Nothing that is written depends on it.
"""
