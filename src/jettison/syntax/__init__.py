"""Dockerfile text to a frozen tree with spans. Pure: text in, nodes or diagnostics out."""
