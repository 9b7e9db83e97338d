"""One module per revision; ``down_revision`` gives their order."""
