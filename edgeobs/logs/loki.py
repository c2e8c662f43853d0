"""Fetches the lines of a template from Loki."""
