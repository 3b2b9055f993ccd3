"""The official training data: precomputed features and record files."""
