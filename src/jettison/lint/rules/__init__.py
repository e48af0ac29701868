"""One rule a file; `jettison.lint.registry` knows them all."""
