"""Build checks: one rule a file, reading syntax and plan only."""
