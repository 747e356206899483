"""Every erasure method on the demonstration model, one row of columns each: `python -m benchmarks.erasure --help`."""
