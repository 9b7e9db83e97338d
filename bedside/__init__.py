"""The front door: the `bedside` command."""
