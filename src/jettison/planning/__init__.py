"""The syntax tree lowered to a graph of immutable steps. Pure: image configs are asked for by yielding."""
