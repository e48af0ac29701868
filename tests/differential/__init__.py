"""Our images beside those of another builder: the same Dockerfiles, path by path."""
