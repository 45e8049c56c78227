"""What ./dev, the tests and the benchmarks share: private places, socket activation, terminals."""
