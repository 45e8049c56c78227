"""What the journal is told of deeds and refusals: who, from where, what, on what, how it ended."""
