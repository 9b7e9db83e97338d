"""Events and index times in, the feature matrix out."""

from features.kernel.kernel import Kernel, Part, compute

__all__ = ["Kernel", "Part", "compute"]
