"""What can go wrong while hosting the engine, independent of vLLM's own errors.

ServingError
+- ConfigurationConflict   an option or variable that the guard cannot live with
+- GuardInactive           the engine answered the start-up canary as if nobody watched it
+- SwapFailed              a policy, adapter or weights could not be put into the engine; the old ones still hold
+- WeightsLost             neither the new weights nor the old ones are in the engine
+- EngineDied              the engine process ended by itself
"""


class ServingError(Exception):
    """Base class; the message tells the operator what to do next."""


class ConfigurationConflict(ServingError):
    """An option or environment variable contradicts what the guard needs."""


class GuardInactive(ServingError):
    """The engine does not apply the logits guard: it must not become ready."""


class SwapFailed(ServingError):
    """The engine refused a new policy, adapter or weights; what was before is still enforced."""


class WeightsLost(ServingError):
    """The engine holds no weights that may answer; nothing is answered until a restart."""


class EngineDied(ServingError):
    """The engine process is gone; only a restart helps."""
