"""The type of numbers that a GPU computes in, chosen in one place for the gate and the trainers."""

from typing import Literal

# Ampere is NVIDIA's first architecture that computes in bfloat16.
_FIRST_WITH_BFLOAT16 = (8, 0)


def dtype_of_capability(capability: tuple[int, int]) -> Literal["bfloat16", "float32"]:
    """The type of numbers for GPUs of a compute capability: bfloat16 where they have it, else float32.

    Older GPUs emulate bfloat16 slowly, and have float16, whose range is too small for the activations of
    models that were trained in bfloat16: it may be asked for, and is not chosen.

    Args:
        capability: Major and minor number, such as (7, 5) for a T4.
    """
    return "bfloat16" if capability >= _FIRST_WITH_BFLOAT16 else "float32"


def gpu_dtype(device: str = "cuda") -> Literal["bfloat16", "float32"]:
    """The type of numbers for a GPU of this machine.

    Args:
        device: A torch device. One that is not there is refused where a model is loaded to it.
    """
    import torch

    if not torch.cuda.is_available():
        return "bfloat16"
    return dtype_of_capability(torch.cuda.get_device_capability(device))
