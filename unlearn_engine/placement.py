"""Where the base model is held while it is erased from, and in how many bits."""

from argparse import ArgumentParser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from unlearn_engine.errors import UnsupportedPlacement


def cpu_multiplies_bf16() -> bool:
    """Whether torch has kernels for bf16 products on this processor, and need not imitate them one by one."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@dataclass(frozen=True)
class Placement:
    """How the frozen weights are held; the default is fp32 on the CPU."""

    device: str = "cpu"  # torch's name of one device; "cuda" takes every GPU there is
    dtype: Literal["float32", "bfloat16"] = "float32"  # of what is not quantised
    quantise: Literal[4, 8] | None = None  # bits of the blocks' linear layers
    checkpointing: bool = False  # keep a block's input alone for the backward pass, and compute the rest again

    @property
    def autocast(self) -> bool:
        """Whether products are computed in bf16: always, but of fp32 weights where the processor has no such products.

        There (AVX2 alone, for one) each takes some fifty times as long as in fp32.
        """
        return self.device != "cpu" or self.dtype != "float32" or self.quantise is not None or cpu_multiplies_bf16()

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Every device that holds a part of the model. Raises UnsupportedPlacement when one is not there."""
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise UnsupportedPlacement(f"torch knows no device {self.device!r}: give cpu, cuda or cuda:N") from None
        if device.type != "cuda":
            return (device,)
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if found <= (device.index or 0):
            raise UnsupportedPlacement(f"{self.device} was asked for, and torch finds {found} GPUs here")
        indexes = range(found) if device.index is None else (device.index,)
        return tuple(torch.device("cuda", index) for index in indexes)

    def load(self, path: Path) -> Any:
        """The network of a model folder, as it is to be held.

        Attention is the plain (eager) kind: on CPU the backward pass of the fused bf16 kernel takes longer than all the
        rest of the model together, and second derivatives exist for this kind alone. Raises UnsupportedPlacement when
        a device, accelerate or bitsandbytes is missing.
        """
        devices = self.devices
        options: dict[str, Any] = {"dtype": getattr(torch, self.dtype), "attn_implementation": "eager"}
        if len(devices) > 1 or self.quantise:
            _require("accelerate", "quantise" if self.quantise else "gpu")
            options["device_map"] = "auto" if len(devices) > 1 else {"": devices[0]}
        if self.quantise:
            _require("bitsandbytes", "quantise")
            options["quantization_config"] = _bits(self.quantise)
            config = AutoConfig.from_pretrained(path).get_text_config()
            if (self.quantise, devices[0].type) == (4, "cpu") and (config.hidden_size | config.intermediate_size) % 64:
                raise UnsupportedPlacement("on a CPU 4 bits need sizes that are multiples of 64: quantise to 8")
        try:
            network = AutoModelForCausalLM.from_pretrained(path, **options)
        except (ImportError, NotImplementedError, RuntimeError, ValueError) as error:
            if not self.quantise:
                raise
            raise UnsupportedPlacement(
                f"bitsandbytes cannot hold this model in {self.quantise} bit on {self.device}: {error}"
            ) from error
        left = {"cpu", "disk"} & {str(place) for place in getattr(network, "hf_device_map", {}).values()}
        if left and devices[0].type == "cuda":
            raise UnsupportedPlacement(f"the GPUs are too full: a part of the model was left on {min(left)}")
        return network if "device_map" in options else network.to(devices[0])


ON_CPU = Placement()


def dense_weight(module: nn.Linear) -> Tensor:
    """A layer's weight [out_features, in_features], to calculate with; raises UnsupportedPlacement if quantised."""
    weight: Tensor = module.weight
    if not weight.is_floating_point():
        raise UnsupportedPlacement("this method reads the weights themselves: hold the base unquantised for it")
    return weight


def add_flags(parser: ArgumentParser) -> None:
    """The command line's way to say a placement."""
    parser.add_argument("--device", default=ON_CPU.device, help="cpu, cuda (every GPU there is) or cuda:N")
    parser.add_argument("--dtype", default=ON_CPU.dtype, choices=["float32", "bfloat16"], help="of the base weights")
    parser.add_argument("--quantise", type=int, choices=[4, 8], help="bits of the base weights; extra `quantise`")
    parser.add_argument("--checkpointing", action="store_true", help="less memory, a third more computing")


def _bits(bits: Literal[4, 8]) -> Any:
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _require(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise UnsupportedPlacement(f"{package} is not installed: pip install 'unlearning-gateway[{extra}]'")
