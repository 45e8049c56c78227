"""What the words of a command line mean: parsed and checked before anything is sent."""
