"""Hosts vLLM under the guard: the only room of the gateway that imports vLLM."""
