"""Snapshots to tar layers and back: pack, unpack (hostile input assumed), press (gzip, zstd)."""
