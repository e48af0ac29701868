"""Blobs, snapshots and the sqlite index on this machine's disk: written aside, renamed in, leased by flock."""
