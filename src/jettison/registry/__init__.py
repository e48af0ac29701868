"""Images from registries: rules as generators in flow, the socket in wire alone."""
