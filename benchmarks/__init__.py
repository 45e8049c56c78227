"""What ./dev bench runs: each goal beside its reference, measured in the same run."""
