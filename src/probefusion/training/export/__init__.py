"""From trained networks to plain ONNX: fuser folders, and embedders with named style taps."""
