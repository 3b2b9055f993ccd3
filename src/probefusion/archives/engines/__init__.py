"""Engines run tasks on archives: on this machine, on a Ray cluster, or on Dask; what comes out is the same."""
