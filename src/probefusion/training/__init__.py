"""Training in PyTorch: embedded variants, sampler, losses, loop, export to ONNX."""
