"""Speed and memory, measured. Run each module from the root: ``python -m benchmarks.compare``."""
