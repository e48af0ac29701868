"""jettison: multi-stage container builds with no daemon and no root."""

__version__ = "0.1.0"
