"""What a forget request costs and what its replicas promise: `python -m benchmarks.lifecycle` (docs/lifecycle.md)."""
