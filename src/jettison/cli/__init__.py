"""Parse, call, print: one file a command, imported when chosen."""
