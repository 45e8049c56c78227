"""The terminal: output, prompts, spinner and progress."""
