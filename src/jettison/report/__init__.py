"""Texts and pages made from the build record alone."""
