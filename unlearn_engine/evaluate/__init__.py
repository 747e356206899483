"""How forgetting is measured: pure metrics, and the verification that decides."""
