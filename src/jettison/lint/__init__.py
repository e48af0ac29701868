"""The build checks: what is legal in a Dockerfile, and yet most likely not meant. One rule a file in `rules`."""
