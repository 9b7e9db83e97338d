"""Other ways to serve the benchmark model. Each file but this runs in a virtual environment of its own."""
