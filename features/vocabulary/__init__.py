"""Concepts, their codes and their units: what a site records, and what it means."""
