"""A process in a tree: what it sees, in which tier, and the keeper that runs it."""
