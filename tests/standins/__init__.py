"""Stand-ins of TensorRT, PyCUDA and cuda-bindings for machines without a GPU. Nothing here is NVIDIA's code or proves speed.

They keep NVIDIA's rules and are strict where the real ones are silent: a rule that is broken is a ``Violation``, kept in
``Gpu.violations``. What is computed comes from ONNX Runtime, so the numbers are real.
"""
