"""The contract between training and serving, and one folder per clinical model."""
