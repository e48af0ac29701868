"""Keys, schedule and driver: which steps must run, and running them. Sees the world through ports.py alone."""
