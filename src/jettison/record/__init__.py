"""What happened in a build: typed data with a schema number. Knows base alone."""
