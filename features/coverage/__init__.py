"""Coverage: what a source holds of each concept, what of it is used, and what is not and why; begin at `gather`."""
