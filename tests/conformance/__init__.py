"""The reference's paragraphs as builds: one file a behaviour, with what must come out of it."""
