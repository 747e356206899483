"""The guards measured against what they must reach: `python -m benchmarks.guards`."""
