"""Holds any CDS Hooks server to the requirements, from outside, over HTTP."""
