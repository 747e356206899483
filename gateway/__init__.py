"""HTTP gateway: serves a model through vLLM, takes forget requests, guards every answer."""
