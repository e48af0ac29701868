"""Image documents as the OCI image specification has them: typed, with what we do not know kept. Pure."""
