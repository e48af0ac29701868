"""File trees: rows, manifests, views through a layer stack, copy rules, change detection, content digests."""
