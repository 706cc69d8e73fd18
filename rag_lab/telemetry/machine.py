"""What the machine does while something is measured: this job's GPU by NVML, processor and memory by psutil.

A thread samples them; metrics bear MLflow's own names where it has one. Without a GPU, a driver or NVML's bindings
there are no figures of a GPU but the reason why: never an error.

Units: percent, megabytes, watts, degrees Celsius.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import jax
import numpy as np
import psutil
from jaxtyping import Float

GPU = "system/gpu_0_utilization_percentage"
GPU_MEMORY = "system/gpu_0_memory_usage_megabytes"
GPU_POWER, GPU_TEMPERATURE = "system/gpu_0_power_usage_watts", "system/gpu_0_temperature_celsius"
CPU, MEMORY = "system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"
PROCESS_CPU = "system/process_cpu_percentage"  # of one core: 200 where two are busy
PROCESS_MEMORY = "system/process_memory_megabytes"
MEGABYTE = 1e6
MILLIWATTS = 1000  # of a watt, in which NVML counts

Note = Callable[[str, float], None]
EVERY_S = 0.1  # NVML's own figure covers between a sixth of a second and a second


class Watch:
    """A context manager: samples while it is open. samples: by metric; absent: why there are none of a GPU.

    note: is told every sample, instead of their being kept.
    """

    def __init__(self, every_s: float = EVERY_S, note: Note | None = None) -> None:
        self.samples: dict[str, list[float]] = {}
        self.absent: str | None = None
        self._note = note or self._keep
        self._every_s, self._over = every_s, threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def series(self, metric: str) -> Float[np.ndarray, " N"]:
        """What was sampled of a metric."""
        return np.array(self.samples.get(metric, []))

    def means(self) -> dict[str, float]:
        """The mean of every metric that was sampled."""
        return {name: float(np.mean(values)) for name, values in self.samples.items() if values}

    def _work(self) -> None:
        gpu = _Gpu.of_this_job()
        self.absent = gpu if isinstance(gpu, str) else None
        process = psutil.Process()
        psutil.cpu_percent(), process.cpu_percent()  # their first answers mean nothing
        while not self._over.wait(self._every_s):
            self._note(CPU, psutil.cpu_percent())
            self._note(MEMORY, psutil.virtual_memory().used / MEGABYTE)
            self._note(PROCESS_CPU, process.cpu_percent())
            self._note(PROCESS_MEMORY, process.memory_info().rss / MEGABYTE)
            if self.absent is None and isinstance(gpu, _Gpu):
                self.absent = gpu.sample(self._note)
        if isinstance(gpu, _Gpu):
            gpu.close()

    def _keep(self, metric: str, value: float) -> None:
        self.samples.setdefault(metric, []).append(value)


class _Gpu:
    """One GPU by NVML."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    @classmethod
    def of_this_job(cls) -> _Gpu | str:
        """The GPU that JAX computes on, or why there is none."""
        if jax.default_backend() != "gpu":
            return f"no GPU: this run computes on {jax.default_backend()}"
        try:
            import pynvml
        except ImportError:
            return "NVML's bindings are missing: install nvidia-ml-py"
        try:
            pynvml.nvmlInit()
            return cls(pynvml, _own(pynvml))
        except pynvml.NVMLError as error:
            return f"NVML does not answer: {error}"

    def sample(self, note: Note) -> str | None:
        """Note utilisation, memory in use and, where NVML knows them, power and temperature; why it cannot be done,
        if it cannot (a slice of a GPU, say).
        """
        try:
            note(GPU, float(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu))
            note(GPU_MEMORY, self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used / MEGABYTE)
        except self._nvml.NVMLError as error:
            return f"NVML does not say what this GPU does: {error}"
        with contextlib.suppress(self._nvml.NVMLError):
            note(GPU_POWER, self._nvml.nvmlDeviceGetPowerUsage(self._handle) / MILLIWATTS)
            sensor = self._nvml.NVML_TEMPERATURE_GPU
            note(GPU_TEMPERATURE, float(self._nvml.nvmlDeviceGetTemperature(self._handle, sensor)))
        return None

    def close(self) -> None:
        self._nvml.nvmlShutdown()


def _own(nvml: Any) -> Any:
    """The handle of this job's GPU: the one that runs this process, else the first that CUDA may see.

    In a container NVML may know processes by other numbers than we do.
    """
    handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    for handle in handles:
        if any(one.pid == os.getpid() for one in nvml.nvmlDeviceGetComputeRunningProcesses(handle)):
            return handle
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    if first.isdigit() and int(first) < len(handles):
        return handles[int(first)]
    named = [handle for handle in handles if first and str(nvml.nvmlDeviceGetUUID(handle)).startswith(first)]
    return (named or handles)[0]
