"""Stand-ins for public base images, assembled from packages with the standard library alone."""
