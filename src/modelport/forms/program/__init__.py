"""A model as data: a list of steps over registers, which numpy (and for trees ONNX Runtime) computes without the model's library."""
