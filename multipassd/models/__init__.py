"""Values with typed fields that are kept, or sent to another program, as JSON."""
