"""What the machine does while something is measured: real samples here, a stand-in for NVML where needed."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import jax
import pytest

from rag_lab.telemetry import machine
from rag_lab.telemetry.machine import (
    CPU,
    GPU,
    GPU_MEMORY,
    GPU_POWER,
    GPU_TEMPERATURE,
    MEMORY,
    PROCESS_CPU,
    PROCESS_MEMORY,
    Watch,
)


class NVML(SimpleNamespace):
    """The functions of NVML that are used: GPUs with (utilisation, megabytes in use, uuid, processes)."""

    class NVMLError(Exception):
        pass

    def __init__(self, gpus: list[tuple[int, float, str, list[int]]]) -> None:
        super().__init__(gpus=gpus, open=0, NVML_TEMPERATURE_GPU=0)

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid) for pid in self.gpus[handle][3]]

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return self.gpus[handle][2]

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        if self.gpus[handle][0] < 0:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=self.gpus[handle][0])

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=self.gpus[handle][1] * 1e6)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return 350_000

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        if self.gpus[handle][2] == "GPU-cold":
            raise self.NVMLError("Not Supported")
        return 61


def watched(monkeypatch: pytest.MonkeyPatch, nvml: NVML) -> Watch:
    """A short watch on a machine with these GPUs."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    watch = Watch(every_s=0.001)
    with watch:
        deadline = time.monotonic() + 20
        while len(watch.series(MEMORY)) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
    return watch


def test_this_machine_says_how_busy_it_is() -> None:
    watch = Watch(every_s=0.01)
    with watch:
        sum(range(3_000_000))
        while len(watch.series(CPU)) < 2:
            time.sleep(0.01)
    means = watch.means()
    assert 0 <= means[CPU] <= 100 and means[MEMORY] > 0
    assert (GPU in means) == (watch.absent is None)


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="this machine computes on a GPU")
def test_without_a_gpu_there_is_a_reason_and_no_figure() -> None:
    with Watch() as watch:
        pass
    assert watch.absent == "no GPU: this run computes on cpu"
    assert len(watch.series(GPU)) == 0


def test_the_gpu_that_runs_this_process_is_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = NVML([(3, 1, "GPU-a", [1]), (88, 4000, "GPU-b", [os.getpid(), 2]), (5, 1, "GPU-c", [])])
    means = watched(monkeypatch, nvml).means()
    assert means[GPU] == 88 and means[GPU_MEMORY] == 4000
    assert means[GPU_POWER] == 350 and means[GPU_TEMPERATURE] == 61
    assert nvml.open == 0


@pytest.mark.parametrize(("visible", "expected"), [("", 3), ("1", 88), ("GPU-b", 88), ("9", 3), ("MIG-x", 3)])
def test_in_a_container_it_is_the_first_that_cuda_may_see(
    monkeypatch: pytest.MonkeyPatch, visible: str, expected: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvml = NVML([(3, 1, "GPU-a", []), (88, 4000, "GPU-b", [])])
    assert watched(monkeypatch, nvml).means()[GPU] == expected


def test_a_gpu_that_says_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watched(monkeypatch, NVML([(-1, 1, "MIG-a", [os.getpid()])]))
    assert watch.absent == "NVML does not say what this GPU does: Not Supported"
    assert GPU not in watch.means() and CPU in watch.means()


def test_a_gpu_without_a_sensor_keeps_its_other_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    means = watched(monkeypatch, NVML([(7, 1, "GPU-cold", [os.getpid()])])).means()
    assert means[GPU] == 7 and means[GPU_POWER] == 350 and GPU_TEMPERATURE not in means


def test_samples_can_be_told_instead_of_kept() -> None:
    told: dict[str, float] = {}
    with Watch(every_s=0.001, note=told.__setitem__) as watch:
        deadline = time.monotonic() + 20
        while PROCESS_MEMORY not in told and time.monotonic() < deadline:
            time.sleep(0.001)
    assert told[PROCESS_MEMORY] > 10 and told[PROCESS_CPU] >= 0
    assert watch.samples == {}


def test_a_missing_driver_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = NVML([])

    def fail() -> None:
        raise nvml.NVMLError("Driver Not Loaded")

    nvml.nvmlInit = fail
    watch = watched(monkeypatch, nvml)
    assert watch.absent == "NVML does not answer: Driver Not Loaded"


def test_missing_bindings_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert machine._Gpu.of_this_job() == "NVML's bindings are missing: install nvidia-ml-py"
