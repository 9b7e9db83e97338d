"""The client of FHIR servers: search with pages, bulk export, and SMART Backend Services; begin at `server`.

What is a rule (`urls`, `retry`, `failures`, what a page or a manifest says) is apart from what sends (`transport`), so
that another way of sending can follow the same rules.
"""
