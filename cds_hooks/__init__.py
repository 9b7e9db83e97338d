"""The CDS Hooks standard as types and rules; no machine learning in it."""
