"""What every floor stands on: errors, spans, digests, canonical JSON. Imports nothing of jettison."""
