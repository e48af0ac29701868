"""What lies on disk: blobs, snapshots, caches, and the one index that knows them. Opened by the driver alone."""
