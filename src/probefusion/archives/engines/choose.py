"""An engine by its name."""

from __future__ import annotations

from probefusion.archives.engines.engine import Engine
from probefusion.errors import ConfigError, UnknownNameError

__all__ = ["ENGINES", "choose_engine"]

ENGINES = ("local", "ray", "dask")


def choose_engine(
    name: str = "local",
    *,
    num_workers: int | None = None,
    ray_address: str | None = None,
    dask_address: str | None = None,
    gpus_per_worker: float = 0,
) -> Engine:
    """Starts an engine, or connects to its cluster.

    Args:
        name: "local", "ray" or "dask".
        num_workers: Tasks at the same time; None for one per core.
        ray_address: Of a Ray cluster that runs; None starts Ray on this machine.
        dask_address: Of a Dask scheduler that runs; None starts Dask on this machine.
        gpus_per_worker: GPUs that Ray gives each worker.

    Returns:
        The engine; a context manager.

    Raises:
        UnknownNameError: If there is no such engine.
        ConfigError: If an option is given that another engine takes, or is out of range.
        MissingExtraError: If the engine's library is not installed.
        WorkerError: If its cluster does not answer.

    Example:
        >>> with choose_engine("local", num_workers=1) as engine:
        ...     engine.name, engine.num_workers
        ('local', 1)
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    if num_workers is not None and num_workers < 1:
        raise ConfigError(f"num_workers: expected at least 1, got {num_workers}. Leave it out.")
    if gpus_per_worker < 0:
        raise ConfigError(f"gpus_per_worker: expected 0 or more, got {gpus_per_worker}.")
    of_others = {
        "ray_address": ("ray", ray_address),
        "dask_address": ("dask", dask_address),
        "gpus_per_worker": ("ray", gpus_per_worker or None),
    }
    for option, (engine, value) in of_others.items():
        if value is not None and engine != name:
            flag = f"--{option.replace('_', '-')}"
            raise ConfigError(
                f"{option}: expected with the engine {engine!r} only, got {value!r} with {name!r}. Say --engine "
                f"{engine} (engine={engine!r}), or leave {flag} out."
            )
    if name == "ray":
        from probefusion.archives.engines.ray_engine import RayEngine

        return RayEngine(ray_address, num_workers, gpus_per_worker=gpus_per_worker)
    if name == "dask":
        from probefusion.archives.engines.dask_engine import DaskEngine

        return DaskEngine(dask_address, num_workers)
    from probefusion.archives.engines.local import LocalEngine

    return LocalEngine(num_workers)
