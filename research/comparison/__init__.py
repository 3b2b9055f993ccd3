"""Every fuser on one protocol: training, cross-fitting, tables."""
